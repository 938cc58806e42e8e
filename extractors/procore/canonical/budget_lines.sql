-- title: Procore budget rows of the chosen view
-- grain: one row of the budget: a cost code with a cost type in a project
-- Every row of the view, budgeted or not. Each view has columns of its own under their ids or their names; a firm whose view calls
-- them otherwise names them in its own manifest.
-- Without a revised column the budget is revised by its modifications alone. At completion = the view's, else to date and to complete.
-- Codes of a row read as 01-500 or as "01-500 - Title"; the project's code is taken where it is known.

with demo_projects as (

    select id from source.projects where is_demo

),

measured as (

    select budget.*,
        coalesce(
            budget.revised_budget, budget.revised_budget_named, budget.original_budget_amount + budget.budget_modifications
        ) as revised,
        coalesce(budget.committed_costs, budget.committed_costs_named) as committed,
        coalesce(budget.job_to_date_costs, budget.job_to_date_costs_named) as actual,
        coalesce(budget.estimated_cost_at_completion, budget.estimated_cost_named) as at_completion
    from source.budget_rows as budget

)

select
    measured._key as record_id,
    cast(measured.project_id as varchar) as project_id,
    coalesce(nullif(trim(codes.full_code), ''), nullif(trim(measured.cost_code), '')) as cost_code,
    coalesce(nullif(trim(types.code), ''), nullif(trim(measured.category), '')) as cost_type,
    'cost' as budget_type,
    measured.original_budget_amount as original_amount,
    measured.revised - measured.original_budget_amount as approved_changes,
    measured.revised as revised_amount,
    measured.committed as committed_amount,
    measured.actual as actual_amount,
    measured.forecast_to_complete as cost_to_complete,
    coalesce(measured.at_completion, measured.actual + measured.forecast_to_complete) as cost_at_completion,
    measured.currency_iso_code as currency
from measured
left join source.cost_codes as codes on measured.cost_code_id = codes.id and measured.project_id = codes.project_id
left join source.line_item_types as types on measured.category_id = types.id
left anti join demo_projects on measured.project_id = demo_projects.id
