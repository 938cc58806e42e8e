-- title:    Exceptions of each check by day
-- question: What was open on a day, what opened and what closed?
-- grain:    one row per day and check, also for days without a commit
-- columns:
--   day                the day, in the firm's zone
--   check_id           the check
--   commit_number      the day's newest commit in which checks ran
--   verdict            what the check could say then; not_evaluated also if nothing was committed that day
--   open_count         open at that commit; null if not evaluated
--   waived_count       waived
--   in_flight_count    missing records still within their grace
--   opened_count       opened for the first time since the last commit of an earlier day
--   reopened_count     opened again
--   closed_count       closed
--   amount_at_risk     money of the open ones that no other exception explains

with grid as (

    select days.day, days.commit_number, days.previous_commit, checks.check_id
    from trend.days as days
    cross join meta.checks
    where checks.check_id is not null

),

runs as (

    select *
    from recon.check_runs
    where project_id is null

),

-- A day's moves are those of its commits: an episode that opened and closed on one day is both.
events as (

    select check_id, opened_commit as commit_number, case when is_reopened then 'reopened' else 'opened' end as move
    from recon.exception_history

    union all

    select check_id, closed_commit as commit_number, 'closed' as move
    from recon.exception_history
    where closed_commit is not null

),

counted as (

    select
        days.day,
        events.check_id,
        count(case when events.move = 'opened' then 1 end) as opened_count,
        count(case when events.move = 'reopened' then 1 end) as reopened_count,
        count(case when events.move = 'closed' then 1 end) as closed_count
    from events
    inner join trend.days as days on
        events.commit_number > days.previous_commit and
        events.commit_number <= days.commit_number
    group by days.day, events.check_id

)

select
    grid.day,
    grid.check_id,
    grid.commit_number,
    coalesce(runs.verdict, 'not_evaluated') as verdict,
    case when runs.verdict in ('clean', 'exceptions', 'partial') then runs.exception_count end as open_count,
    case when runs.verdict in ('clean', 'exceptions', 'partial') then runs.waived_count end as waived_count,
    case when runs.verdict in ('clean', 'exceptions', 'partial') then runs.in_flight_count end as in_flight_count,
    case when runs.verdict in ('clean', 'exceptions', 'partial') then coalesce(counted.opened_count, 0) end as opened_count,
    case when runs.verdict in ('clean', 'exceptions', 'partial') then coalesce(counted.reopened_count, 0) end as reopened_count,
    case when runs.verdict in ('clean', 'exceptions', 'partial') then coalesce(counted.closed_count, 0) end as closed_count,
    case when runs.verdict in ('clean', 'exceptions', 'partial') then runs.amount_at_risk end as amount_at_risk
from grid
left join runs on
    runs.commit_number = grid.commit_number and
    runs.check_id = grid.check_id
left join counted on
    counted.day = grid.day and
    counted.check_id = grid.check_id
order by grid.day, grid.check_id
