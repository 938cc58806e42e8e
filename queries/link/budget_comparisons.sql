-- title:    Budgets and cost of both sides, by code
-- question: What does each side hold on each cost code of a linked project?
-- grain:    one row per measure (cost_budget, revenue_budget, cost), linked project, code and cost type
-- columns:
--   measure            cost_budget, revenue_budget or cost
--   project_id         PM's record id of the project
--   place              normalised code, and the ERP's cost type where both sides name it
--   pm_count           PM lines
--   erp_count          ERP lines
--   pm_amount          PM's amount: revised budget, or cost to date
--   erp_amount         the ERP's
--   currency           of the amounts

with types as (

    select pm_types.code as pm_type, min(erp_types.code) as erp_type
    from link.cost_types as links
    inner join pm.cost_types as pm_types on pm_types.record_id = links.pm_id
    inner join erp.cost_types as erp_types on erp_types.record_id = links.erp_id
    group by pm_types.code

),

projects as (

    select pm_id, erp_id from link.erp_projects where pm_id is not null

),

lines as (

    select coalesce(lines.budget_type, 'cost') || '_budget' as measure, 'pm' as side, lines.project_id, lines.cost_code,
        types.erp_type as cost_type, lines.revised_amount as amount, lines.currency
    from pm.budget_lines as lines
    left join types on types.pm_type = lines.cost_type

    union all

    select coalesce(lines.budget_type, 'cost') || '_budget' as measure, 'erp' as side, projects.pm_id as project_id, lines.cost_code,
        types.erp_type as cost_type, lines.revised_amount as amount, lines.currency
    from erp.budget_lines as lines
    inner join projects on projects.erp_id = lines.project_id
    left join (select distinct erp_type from types) as types on types.erp_type = lines.cost_type

    union all

    select 'cost' as measure, 'pm' as side, costs.project_id, costs.cost_code, types.erp_type as cost_type, costs.amount, costs.currency
    from pm.job_costs as costs
    left join types on types.pm_type = costs.cost_type
    cross join meta.clock
    where costs.cost_date is null or costs.cost_date <= clock.accounting_date

    union all

    select 'cost' as measure, 'erp' as side, projects.pm_id as project_id, costs.cost_code, types.erp_type as cost_type, costs.amount, costs.currency
    from erp.job_costs as costs
    inner join projects on projects.erp_id = costs.project_id
    left join (select distinct erp_type from types) as types on types.erp_type = costs.cost_type
    cross join meta.clock
    where costs.cost_date is null or costs.cost_date <= clock.accounting_date

),

-- Types are compared in projects where every line of both sides names one that is linked; else by code alone.
typed as (

    select measure, project_id
    from lines
    group by measure, project_id
    having count(*) = count(cost_type)

)

select
    lines.measure,
    lines.project_id,
    coalesce(normalize_number(lines.cost_code), '(none)') || case when typed.project_id is not null then ' ' || lines.cost_type else '' end as place,
    count(case when lines.side = 'pm' then 1 end) as pm_count,
    count(case when lines.side = 'erp' then 1 end) as erp_count,
    cast(sum(case when lines.side = 'pm' then coalesce(lines.amount, 0) else 0 end) as decimal(18,2)) as pm_amount,
    cast(sum(case when lines.side = 'erp' then coalesce(lines.amount, 0) else 0 end) as decimal(18,2)) as erp_amount,
    min(lines.currency) as currency
from lines
left join typed on typed.measure = lines.measure and typed.project_id = lines.project_id
group by
    lines.measure,
    lines.project_id,
    coalesce(normalize_number(lines.cost_code), '(none)') || case when typed.project_id is not null then ' ' || lines.cost_type else '' end
