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
--   waived_count       waived at the month's commit
-- open_count + waived_count = that of the month before + opened + reopened - closed, as long as every month was evaluated.

with grid as (

    select
        months.month,
        months.commit_number,
        months.evaluated_commit,
        checks.check_id,
        checks.title
    from trend.months as months
    cross join meta.checks
    where checks.check_id is not null

),

verdicts as (

    select commit_number, check_id, verdict
    from recon.check_runs
    where project_id is null

),

open_counts as (

    select
        month,
        check_id,
        count(case when state = 'open' then 1 end) as open_count,
        count(case when state = 'waived' then 1 end) as waived_count,
        sum(case when state = 'open' then counted_amount end) as amount_at_risk,
        min(case when state = 'open' then currency end) as currency,
        max(case when state = 'open' then currency end) as last_currency
    from trend.open_by_month
    group by month, check_id

),

move_counts as (

    select
        month,
        check_id,
        count(case when move = 'opened' then 1 end) as opened_count,
        count(case when move = 'reopened' then 1 end) as reopened_count,
        count(case when move = 'closed' then 1 end) as closed_count
    from trend.moves_by_month
    group by month, check_id

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
        coalesce(open_counts.waived_count, 0) as waived_count,
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
    case when is_mixed then 'mixed' else currency end as currency,
    case when is_told then waived_count end as waived_count
from told
order by month, check_id
