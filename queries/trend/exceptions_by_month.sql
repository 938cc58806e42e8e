-- title:    Exceptions of each check by month
-- question: Does the drift between the two systems grow or heal?
-- grain:    one row per month and check
-- columns:
--   month              first day of the month
--   check_id           the check
--   title              what it finds
--   commit_number      the commit that stands for the month
--   verdict            what the check could say then; not_evaluated also if nothing was committed
--   open_count         open at the month's commit; null if not evaluated
--   opened_count       opened for the first time since the month before
--   reopened_count     opened again
--   closed_count       closed
--   amount_at_risk     money of the open ones that no other open one explains; null if currencies mix
--   currency           of the amount
-- open_count = that of the month before + opened + reopened - closed, as long as every month was evaluated.

with months as (

    select * from trend.months

),

grid as (

    select
        months.month,
        months.commit_number,
        months.evaluated_commit,
        months.previous_commit,
        checks.check_id,
        checks.title
    from months
    cross join meta.checks
    where checks.check_id is not null

),

verdicts as (

    select commit_number, check_id, verdict
    from recon.check_runs
    where project_id is null

),

versions as (

    select
        check_id,
        exception_key,
        explained_by,
        amount_at_risk,
        currency,
        state,
        _op,
        _commit as from_commit,
        lead(_commit) over (partition by check_id, check_version, exception_key order by _commit) as until_commit
    from history.tieout_exceptions

),

open_then as (

    select
        months.month,
        versions.check_id,
        versions.exception_key,
        versions.explained_by,
        versions.amount_at_risk,
        coalesce(versions.currency, setting_text('currency')) as currency
    from months
    inner join versions on
        versions.from_commit <= months.commit_number and
        (versions.until_commit is null or versions.until_commit > months.commit_number)
    where
        versions._op <> 'D' and
        versions.state <> 'in_flight'

),

open_keys as (

    select distinct month, exception_key from open_then

),

open_counts as (

    select
        open_then.month,
        open_then.check_id,
        count(*) as open_count,
        sum(case when open_keys.exception_key is null then open_then.amount_at_risk end) as amount_at_risk,
        min(open_then.currency) as currency,
        max(open_then.currency) as last_currency
    from open_then
    left join open_keys on
        open_keys.month = open_then.month and
        open_keys.exception_key = open_then.explained_by
    group by open_then.month, open_then.check_id

),

-- Opened and closed between two months' commits is both, and neither is open at the end.
moves as (

    select check_id, opened_commit as commit_number, case when is_reopened then 'reopened' else 'opened' end as move
    from recon.exception_history

    union all

    select check_id, closed_commit as commit_number, 'closed' as move
    from recon.exception_history
    where closed_commit is not null

),

move_counts as (

    select
        months.month,
        moves.check_id,
        count(case when moves.move = 'opened' then 1 end) as opened_count,
        count(case when moves.move = 'reopened' then 1 end) as reopened_count,
        count(case when moves.move = 'closed' then 1 end) as closed_count
    from moves
    inner join months on
        moves.commit_number > months.previous_commit and
        moves.commit_number <= months.commit_number
    group by months.month, moves.check_id

),

told as (

    select
        grid.month,
        grid.check_id,
        grid.title,
        grid.commit_number,
        coalesce(verdicts.verdict, 'not_evaluated') as verdict,
        coalesce(verdicts.verdict, 'not_evaluated') not in ('not_evaluated', 'not_applicable') as is_told,
        coalesce(open_counts.open_count, 0) as open_count,
        coalesce(move_counts.opened_count, 0) as opened_count,
        coalesce(move_counts.reopened_count, 0) as reopened_count,
        coalesce(move_counts.closed_count, 0) as closed_count,
        open_counts.currency is distinct from open_counts.last_currency as is_mixed,
        coalesce(open_counts.amount_at_risk, 0) as amount_at_risk,
        coalesce(open_counts.currency, setting_text('currency')) as currency
    from grid
    left join verdicts on
        verdicts.commit_number = grid.evaluated_commit and
        verdicts.check_id = grid.check_id
    left join open_counts on
        open_counts.month = grid.month and
        open_counts.check_id = grid.check_id
    left join move_counts on
        move_counts.month = grid.month and
        move_counts.check_id = grid.check_id

)

select
    month,
    check_id,
    title,
    commit_number,
    verdict,
    case when is_told then open_count end as open_count,
    case when is_told then opened_count end as opened_count,
    case when is_told then reopened_count end as reopened_count,
    case when is_told then closed_count end as closed_count,
    cast(case when is_told and not is_mixed then amount_at_risk end as decimal(18,2)) as amount_at_risk,
    case when is_mixed then 'mixed' else currency end as currency
from told
order by month, check_id
