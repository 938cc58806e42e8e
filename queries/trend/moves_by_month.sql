-- title:    What opened and closed in each month
-- question: Which exceptions opened, opened again or closed between a month's commit and that of the month before?
-- grain:    one row per month and opening or closing; opened and closed in between is both
-- columns:
--   month              first day of the month
--   move               opened, reopened or closed
--   commit_number      the commit in which it did
--   check_id           the check
--   exception_key      stable key, from record ids
--   entity             what it is about
--   project_id         PM's record id of the project; null = firm level
--   record_owner       the side that is right by the ownership matrix
--   fix_side           the side that must act
--   cause              as last known
--   days_open          whole days of the episode, if it closed
--   largest_amount     largest amount at risk in its life

with moves as (

    select *, opened_commit as commit_number, case when is_reopened then 'reopened' else 'opened' end as move
    from recon.exception_history

    union all

    select *, closed_commit as commit_number, 'closed' as move
    from recon.exception_history
    where closed_commit is not null

)

select
    months.month,
    moves.move,
    moves.commit_number,
    moves.check_id,
    moves.exception_key,
    moves.entity,
    moves.project_id,
    moves.record_owner,
    moves.fix_side,
    coalesce(moves.cause, 'unknown') as cause,
    case when moves.closed_commit is not null then moves.days_open end as days_open,
    moves.largest_amount
from moves
inner join trend.months as months on
    moves.commit_number > months.previous_commit and
    moves.commit_number <= months.commit_number
