-- title:    Exceptions by month and by what they have in common
-- What the trends by cause, by owner and by project share: each of them reads its own dimension.
-- grain:    one row per dimension (cause, owner, project), month, check and key that ever had an exception, or a verdict of its own

with facts as (

    select month, check_id, cause, record_owner, fix_side, project_id, state as fact, counted_amount, currency
    from trend.open_by_month

    union all

    select month, check_id, cause, record_owner, fix_side, project_id, move as fact, null as counted_amount, null as currency
    from trend.moves_by_month

),

spread as (

    select
        dimensions.dimension,
        case dimensions.dimension when 'cause' then facts.cause when 'owner' then facts.record_owner else facts.project_id end as first_key,
        case dimensions.dimension when 'owner' then facts.fix_side end as second_key,
        facts.*
    from facts
    cross join (values ('cause'), ('owner'), ('project')) as dimensions (dimension)

),

counted as (

    select
        dimension, month, check_id, first_key, second_key,
        count(case when fact = 'open' then 1 end) as open_count,
        count(case when fact = 'waived' then 1 end) as waived_count,
        count(case when fact = 'opened' then 1 end) as opened_count,
        count(case when fact = 'reopened' then 1 end) as reopened_count,
        count(case when fact = 'closed' then 1 end) as closed_count,
        sum(case when fact = 'open' then counted_amount end) as amount_at_risk,
        min(case when fact = 'open' then currency end) as currency,
        max(case when fact = 'open' then currency end) as last_currency
    from spread
    group by dimension, month, check_id, first_key, second_key

),

-- Every month has a row for whatever was judged or found in any month: one with nothing shows zeros.
seen as (

    select dimension, check_id, first_key, second_key from counted

    union

    select 'project' as dimension, check_id, project_id as first_key, cast(null as varchar) as second_key
    from recon.check_runs
    where project_id is not null

),

-- A check of the whole firm has no verdict of its own for a project.
grid as (

    select
        months.month, months.commit_number, months.evaluated_commit,
        seen.*,
        case when seen.dimension = 'project' and checks.scope = 'project' then seen.first_key end as judged_project
    from trend.months as months
    cross join seen
    left join meta.checks as checks on checks.check_id = seen.check_id

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
    told.dimension, told.month, told.check_id, told.first_key, told.second_key, told.commit_number, told.verdict,
    case when told.is_told then coalesce(counted.open_count, 0) end as open_count,
    case when told.is_told then coalesce(counted.waived_count, 0) end as waived_count,
    case when told.is_told then coalesce(counted.opened_count, 0) end as opened_count,
    case when told.is_told then coalesce(counted.reopened_count, 0) end as reopened_count,
    case when told.is_told then coalesce(counted.closed_count, 0) end as closed_count,
    cast(
        case
            when told.is_told and (counted.currency is not distinct from counted.last_currency)
                then coalesce(counted.amount_at_risk, 0)
        end as decimal(18,2)
    ) as amount_at_risk,
    case
        when counted.currency is distinct from counted.last_currency then 'mixed'
        else coalesce(counted.currency, setting_text('currency'))
    end as currency
from told
left join counted on
    counted.dimension = told.dimension and counted.month = told.month and counted.check_id = told.check_id and
    (counted.first_key is not distinct from told.first_key) and
    (counted.second_key is not distinct from told.second_key)
