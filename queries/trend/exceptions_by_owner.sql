-- title:    Exceptions by who owns and who must act, by month
-- question: Which side has how much to put right?
-- grain:    one row per month, check, owner and acting side that ever had an exception
-- columns:
--   month              first day of the month
--   check_id           the check
--   record_owner       the side that is right by the ownership matrix
--   fix_side           the side that must act
--   commit_number      the commit that stands for the month
--   verdict            what the check could say then; not_evaluated also if nothing was committed
--   open_count         open at the month's commit; null if not evaluated
--   waived_count       waived then
--   opened_count       opened for the first time since the month before
--   reopened_count     opened again
--   closed_count       closed
--   amount_at_risk     money of the open ones that no other open one explains; null if currencies mix
--   currency           of the amount

with standing as (

    select
        month,
        check_id,
        record_owner,
        fix_side,
        count(case when state = 'open' then 1 end) as open_count,
        count(case when state = 'waived' then 1 end) as waived_count,
        sum(case when state = 'open' then counted_amount end) as amount_at_risk,
        min(case when state = 'open' then currency end) as currency,
        max(case when state = 'open' then currency end) as last_currency
    from trend.open_by_month
    group by month, check_id, record_owner, fix_side

),

moved as (

    select
        month,
        check_id,
        record_owner,
        fix_side,
        count(case when move = 'opened' then 1 end) as opened_count,
        count(case when move = 'reopened' then 1 end) as reopened_count,
        count(case when move = 'closed' then 1 end) as closed_count
    from trend.moves_by_month
    group by month, check_id, record_owner, fix_side

),

-- Every month has a row for whatever ever had an exception: one with nothing shows zeros.
seen as (

    select check_id, record_owner, fix_side from standing

    union

    select check_id, record_owner, fix_side from moved

),

grid as (

    select
        months.month,
        months.commit_number,
        months.evaluated_commit,
        cast(null as varchar) as judged_project,
        seen.check_id,
        seen.record_owner,
        seen.fix_side
    from trend.months as months
    cross join seen

),

told as (

    select
        grid.*,
        coalesce(runs.verdict, 'not_evaluated') as verdict,
        coalesce(runs.verdict, 'not_evaluated') not in ('not_evaluated', 'not_applicable') as is_told
    from grid
    left join recon.check_runs as runs on
        runs.commit_number = grid.evaluated_commit and
        runs.check_id = grid.check_id and
        (runs.project_id is not distinct from grid.judged_project)

)

select
    told.month,
    told.check_id,
    told.record_owner,
    told.fix_side,
    told.commit_number,
    told.verdict,
    case when told.is_told then coalesce(standing.open_count, 0) end as open_count,
    case when told.is_told then coalesce(standing.waived_count, 0) end as waived_count,
    case when told.is_told then coalesce(moved.opened_count, 0) end as opened_count,
    case when told.is_told then coalesce(moved.reopened_count, 0) end as reopened_count,
    case when told.is_told then coalesce(moved.closed_count, 0) end as closed_count,
    cast(
        case
            when told.is_told and (standing.currency is not distinct from standing.last_currency)
                then coalesce(standing.amount_at_risk, 0)
        end as decimal(18,2)
    ) as amount_at_risk,
    case
        when standing.currency is distinct from standing.last_currency then 'mixed'
        else coalesce(standing.currency, setting_text('currency'))
    end as currency
from told
left join standing on
    (standing.month is not distinct from told.month) and
    (standing.check_id is not distinct from told.check_id) and
    (standing.record_owner is not distinct from told.record_owner) and
    (standing.fix_side is not distinct from told.fix_side)
left join moved on
    (moved.month is not distinct from told.month) and
    (moved.check_id is not distinct from told.check_id) and
    (moved.record_owner is not distinct from told.record_owner) and
    (moved.fix_side is not distinct from told.fix_side)
