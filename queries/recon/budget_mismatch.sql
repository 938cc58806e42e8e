-- title:    Locked budgets that differ
-- check:    B1
-- entity:   budget_lines
-- scope:    project
-- record_owner: pm
-- fix_side: erp
-- version:  1
-- risk:     the difference without its sign; 0 where currencies differ
-- question: Where is a locked budget another sum in the ERP?
-- grain:    one row per project, budget type, code and cost type that both sides have; one per project whose budget is not locked
-- parameters: amount_tolerance = 0.01
-- compares: revised_amount
-- optional: pm.change_order_lines
-- fix:      Send the budget or the change order again; else correct the ERP's budget.
-- columns:
--   measure            cost_budget or revenue_budget
--   place              normalised code, and cost type where both sides name it
--   pm_amount          revised budget in PM
--   erp_amount         revised budget in the ERP
--   difference         PM minus ERP; null where currencies differ
--   verdict            null; not_applicable where the budget is not locked: then of the whole project (verdict_scope = project)
--   verdict_scope      project where the verdict is the whole project's, else null

-- Lines of change orders that never reached the ERP: what they add to a code is theirs.
with pm_jobs as (

    select * from shared.joined_projects

),

stuck as (

    select coalesce(pm_jobs.project_id, orders.project_id) as project_id, normalize_number(lines.cost_code) as code_key,
        sum(lines.amount) as amount, min('O1:' || orders.record_id) as exception_key
    from pm.change_orders as orders
    left join pm_jobs on pm_jobs.pm_id = orders.project_id
    inner join pm.change_order_lines as lines on lines.change_order_id = orders.record_id
    left anti join link.change_orders as links on links.pm_id = orders.record_id
    where orders.approval_status = 'approved'
    group by coalesce(pm_jobs.project_id, orders.project_id), normalize_number(lines.cost_code)

),

different as (

    select
        comparisons.*,
        projects.number as project_number,
        comparisons.pm_amount - comparisons.erp_amount as difference,
        coalesce(comparisons.pm_currency <> comparisons.erp_currency, false) as currency_differs
    from link.budget_comparisons as comparisons
    inner join pm.projects on projects.record_id = comparisons.project_id
    where
        comparisons.pm_count > 0 and
        comparisons.erp_count > 0 and
        coalesce(projects.budget_is_locked, true) and
        (
            coalesce(comparisons.pm_currency <> comparisons.erp_currency, false) or
            abs(comparisons.pm_amount - comparisons.erp_amount) > setting_decimal('amount_tolerance')
        )

)

select
    'B1:' || different.project_id || ':' || different.measure || ':' || different.place as exception_key,
    different.project_id,
    different.project_number,
    cast(null as varchar) as pm_id, cast(null as varchar) as erp_id,
    different.label,
    replace(different.measure, '_', ' ') || ' of ' || different.label || ' is ' || cast(different.pm_amount as varchar) ||
        case when different.currency_differs then ' ' || different.pm_currency else '' end || ' in PM and ' || cast(different.erp_amount as varchar) ||
        case when different.currency_differs then ' ' || different.erp_currency else '' end || ' in the ERP' as detail,
    cast(different.pm_amount as varchar) as pm_value,
    cast(different.erp_amount as varchar) as erp_value,
    cast(case when different.currency_differs then 0 else abs(different.difference) end as decimal(18,2)) as amount_at_risk,
    coalesce(different.pm_currency, different.erp_currency, setting_text('currency')) as currency,
    cast(null as timestamp with time zone) as occurred_at,
    case when different.currency_differs then 'currency_differs' else 'unknown' end as cause,
    case when abs(different.difference - stuck.amount) <= setting_decimal('amount_tolerance') then stuck.exception_key end as explained_by,
    different.measure, different.place, different.pm_amount, different.erp_amount,
    cast(case when not different.currency_differs then different.difference end as decimal(18,2)) as difference,
    cast(null as varchar) as verdict, cast(null as varchar) as verdict_scope
from different
left join stuck on
    stuck.project_id = different.project_id and
    stuck.code_key = different.code_key

union all

-- A budget that is not locked is still being made: nothing of it is compared.
select
    'B1:' || project_id || ':unlocked' as exception_key,
    project_id,
    project_number,
    cast(null as varchar) as pm_id, cast(null as varchar) as erp_id,
    label,
    detail,
    cast(null as varchar) as pm_value, cast(null as varchar) as erp_value,
    cast(0 as decimal(18,2)) as amount_at_risk,
    setting_text('currency') as currency,
    cast(null as timestamp with time zone) as occurred_at,
    'unknown' as cause,
    cast(null as varchar) as explained_by,
    cast(null as varchar) as measure, cast(null as varchar) as place,
    cast(null as decimal(18,2)) as pm_amount, cast(null as decimal(18,2)) as erp_amount, cast(null as decimal(18,2)) as difference,
    'not_applicable' as verdict, 'project' as verdict_scope
from shared.unlocked_budgets
