-- title:    Exceptions of each check and project by month
-- question: Which projects drift, and which heal?
-- grain:    one row per month, check and project that the check judged or found something in
-- columns:
--   month              first day of the month
--   check_id           the check
--   project_id         PM's record id; null = firm level
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
        project_id,
        count(case when state = 'open' then 1 end) as open_count,
        count(case when state = 'waived' then 1 end) as waived_count,
        sum(case when state = 'open' then counted_amount end) as amount_at_risk,
        min(case when state = 'open' then currency end) as currency,
        max(case when state = 'open' then currency end) as last_currency
    from trend.open_by_month
    group by month, check_id, project_id

),

moved as (

    select
        month,
        check_id,
        project_id,
        count(case when move = 'opened' then 1 end) as opened_count,
        count(case when move = 'reopened' then 1 end) as reopened_count,
        count(case when move = 'closed' then 1 end) as closed_count
    from trend.moves_by_month
    group by month, check_id, project_id

),

-- Every month has a row for whatever was judged or found in any month: one with nothing shows zeros.
seen as (

    select check_id, project_id from standing

    union

    select check_id, project_id from moved

    union

    select check_id, project_id from recon.check_runs where project_id is not null

),

grid as (

    select
        months.month,
        months.commit_number,
        months.evaluated_commit,
        -- A check of the whole firm has no verdict of its own for a project.
        case when checks.scope = 'project' then seen.project_id end as judged_project,
        seen.check_id,
        seen.project_id
    from trend.months as months
    cross join seen
    inner join meta.checks as checks on checks.check_id = seen.check_id

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
    told.project_id,
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
    (standing.project_id is not distinct from told.project_id)
left join moved on
    (moved.month is not distinct from told.month) and
    (moved.check_id is not distinct from told.check_id) and
    (moved.project_id is not distinct from told.project_id)
