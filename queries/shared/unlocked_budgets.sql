-- title:    Budgets that are still being made
-- grain:    one row per PM project whose budget is not locked and of which both sides keep budget lines

select
    projects.record_id as project_id,
    projects.number as project_number,
    coalesce(projects.number, projects.record_id) as label,
    'the budget of ' || coalesce(projects.number, projects.record_id) || ' is not locked in PM: it is not compared yet' as detail
from pm.projects
inner join (
    select project_id from link.budget_comparisons group by project_id having sum(pm_count) > 0 and sum(erp_count) > 0
) as kept on kept.project_id = projects.record_id
where not coalesce(projects.budget_is_locked, true)
