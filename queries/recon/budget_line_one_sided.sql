-- title:    Budget lines on one side only
-- check:    B2
-- entity:   budget_lines
-- scope:    project
-- record_owner: pm
-- version:  1
-- risk:     the line's amount, without its sign
-- question: Which budget lines has only one side?
-- grain:    one row per project, budget type, code and cost type that one side lacks, lines over nothing left out; one per project
--           whose budget is not locked
-- parameters: amount_tolerance = 0.01
-- requires: pm.budget_lines, erp.budget_lines
-- fix:      Missing in the ERP: send the budget again. Only there: enter it in PM, or remove it.
-- columns:
--   measure            cost_budget or revenue_budget
--   place              normalised code, and cost type where both sides name it
--   side               pm or erp: the side that has it
--   amount             its revised budget
--   verdict            null; not_applicable where the budget is not locked: then of the whole project (verdict_scope = project)
--   verdict_scope      project where the verdict is the whole project's, else null

-- A side without any line of that budget type in a project keeps none there: Procore knows no revenue budget, and a project without
-- a budget in the ERP has not been set up.
with kept as (

    select measure, project_id
    from link.budget_comparisons
    group by measure, project_id
    having sum(pm_count) > 0 and sum(erp_count) > 0

),

unlocked as (

    select * from shared.unlocked_budgets

),

one_sided as (

    select
        comparisons.*,
        projects.number as project_number,
        case when comparisons.erp_count = 0 then 'pm' else 'erp' end as side,
        case when comparisons.erp_count = 0 then comparisons.pm_amount else comparisons.erp_amount end as amount
    from link.budget_comparisons as comparisons
    inner join kept on kept.measure = comparisons.measure and kept.project_id = comparisons.project_id
    inner join pm.projects on projects.record_id = comparisons.project_id
    where
        coalesce(projects.budget_is_locked, true) and
        (comparisons.pm_count = 0 or comparisons.erp_count = 0)

)

select
    'B2:' || one_sided.project_id || ':' || one_sided.measure || ':' || one_sided.place as exception_key,
    one_sided.project_id,
    one_sided.project_number,
    cast(null as varchar) as pm_id,
    cast(null as varchar) as erp_id,
    one_sided.label,
    replace(one_sided.measure, '_', ' ') || ' of ' || one_sided.label || ' over ' || cast(one_sided.amount as varchar) ||
        case one_sided.side when 'pm' then ' is in PM and not in the ERP' else ' is in the ERP and not in PM' end as detail,
    case when one_sided.side = 'pm' then cast(one_sided.amount as varchar) end as pm_value,
    case when one_sided.side = 'erp' then cast(one_sided.amount as varchar) end as erp_value,
    cast(abs(one_sided.amount) as decimal(18,2)) as amount_at_risk,
    coalesce(one_sided.currency, setting_text('currency')) as currency,
    cast(null as timestamp with time zone) as occurred_at,
    case when one_sided.side = 'erp' then 'entered on the wrong side' else 'unknown' end as cause,
    cast(null as varchar) as explained_by,
    one_sided.side as fix_side,
    one_sided.measure,
    one_sided.place,
    one_sided.side,
    one_sided.amount,
    cast(null as varchar) as verdict,
    cast(null as varchar) as verdict_scope
from one_sided
where abs(one_sided.amount) > setting_decimal('amount_tolerance')

union all

select
    'B2:' || project_id || ':unlocked' as exception_key,
    project_id,
    project_number,
    cast(null as varchar) as pm_id,
    cast(null as varchar) as erp_id,
    label,
    detail,
    cast(null as varchar) as pm_value,
    cast(null as varchar) as erp_value,
    cast(0 as decimal(18,2)) as amount_at_risk,
    setting_text('currency') as currency,
    cast(null as timestamp with time zone) as occurred_at,
    'unknown' as cause,
    cast(null as varchar) as explained_by,
    cast(null as varchar) as fix_side,
    cast(null as varchar) as measure,
    cast(null as varchar) as place,
    cast(null as varchar) as side,
    cast(null as decimal(18,2)) as amount,
    'not_applicable' as verdict,
    'project' as verdict_scope
from unlocked
