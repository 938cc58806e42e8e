-- title:    Budgets of both sides, by code
-- question: What does each side budget on each cost code of a linked project?
-- grain:    one row per measure (cost_budget, revenue_budget), linked project, code and cost type; cost to date is in link.cost_items
-- columns:
--   measure            cost_budget or revenue_budget
--   project_id         PM's record id of the project
--   code_key           normalised code; (none) where there is none
--   cost_type          the ERP's cost type where both sides name it
--   place              code and cost type
--   label              the same as people write it, in PM if the code stands there
--   pm_count           PM lines
--   erp_count          ERP lines
--   pm_amount          PM's revised budget
--   erp_amount         the ERP's
--   pm_currency        currency of PM's amount
--   erp_currency       currency of the ERP's
--   currency           of the amounts, the first if they differ

with types as (

    select * from shared.linked_types

),

jobs as (

    select erp_id, pm_id, source from link.erp_projects where pm_id is not null

),

-- Several PM projects that are one ERP project are compared together. One that is not linked yet stands alone.
pm_jobs as (

    select * from shared.joined_projects

),

lines as (

    select coalesce(lines.budget_type, 'cost') || '_budget' as measure, 'pm' as side, coalesce(pm_jobs.project_id, lines.project_id) as project_id,
        coalesce(normalize_number(lines.cost_code), '(none)') as code_key, lines.cost_code, types.erp_type as cost_type,
        lines.revised_amount as amount, lines.currency
    from pm.budget_lines as lines
    left join pm_jobs on pm_jobs.pm_id = lines.project_id
    left join types on types.pm_type = lines.cost_type and coalesce(types.pm_source, '') = coalesce(lines.source, '') and
        coalesce(types.erp_source, '') = coalesce(pm_jobs.erp_source, '')

    union all

    select coalesce(lines.budget_type, 'cost') || '_budget' as measure, 'erp' as side, jobs.pm_id as project_id,
        coalesce(normalize_number(lines.cost_code), '(none)') as code_key, lines.cost_code, types.erp_type as cost_type,
        lines.revised_amount as amount, lines.currency
    from erp.budget_lines as lines
    inner join jobs on jobs.erp_id = lines.project_id
    left join (select distinct erp_type, erp_source from types) as types on
        types.erp_type = lines.cost_type and coalesce(types.erp_source, '') = coalesce(lines.source, '')

),

-- Types are compared in projects where every line of both sides names one that is linked; else by code alone.
typed as (

    select
        lines.*,
        case when count(*) over budget_lines = count(cost_type) over budget_lines then cost_type end as told_type
    from lines
    window budget_lines as (partition by measure, project_id)

)

select
    measure,
    project_id,
    code_key,
    told_type as cost_type,
    code_key || coalesce(' ' || told_type, '') as place,
    coalesce(min(case when side = 'pm' then trim(cost_code) end), min(trim(cost_code)), '(none)') || coalesce(' ' || told_type, '') as label,
    count(case when side = 'pm' then 1 end) as pm_count,
    count(case when side = 'erp' then 1 end) as erp_count,
    cast(sum(case when side = 'pm' then coalesce(amount, 0) else 0 end) as decimal(18,2)) as pm_amount,
    cast(sum(case when side = 'erp' then coalesce(amount, 0) else 0 end) as decimal(18,2)) as erp_amount,
    min(case when side = 'pm' then currency end) as pm_currency,
    min(case when side = 'erp' then currency end) as erp_currency,
    min(currency) as currency
from typed
group by measure, project_id, code_key, told_type
