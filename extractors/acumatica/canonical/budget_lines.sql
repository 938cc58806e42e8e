-- title: Acumatica project budgets
-- grain: one project × cost code × account group × budget type, over all tasks and inventory items
-- PM keeps no tasks and no items below a cost code, so their rows are one line here.
--   26-101, tasks 01 and 02, code 03-100, group S: 100.00 and 50.00 → one line of 150.00.
-- Income rows are revenue; liability groups carry neither cost nor revenue and are left out, as in job_costs.sql. Committed is what
-- orders hold now, changes included. An estimate that no row has is null, not 0.

with account_groups as (

    select trim(account_group_id) as account_group, lower(trim(type)) as type from source.account_groups

),

projects as (

    select trim(project_id) as project_id, nullif(trim(project_currency), '') as currency from source.projects

),

budgets as (

    select
        trim(source_rows.project_id) as project_id,
        nullif(trim(source_rows.cost_code), '') as cost_code,
        trim(source_rows.account_group) as cost_type,
        case coalesce(lower(trim(source_rows.type)), account_groups.type)
            when 'income' then 'revenue'
            when 'liability' then 'none'
            else 'cost'
        end as budget_type,
        source_rows.last_modified_date_time, source_rows.original_budgeted_amount, source_rows.budgeted_co_amount,
        source_rows.revised_budgeted_amount, source_rows.revised_committed_amount, source_rows.actual_amount,
        source_rows.cost_to_complete, source_rows.cost_at_completion
    from source.project_budgets as source_rows
    left join account_groups on trim(source_rows.account_group) = account_groups.account_group

),

lines as (

    select
        project_id, cost_code, cost_type, budget_type,
        max(last_modified_date_time) as updated_at,
        sum(original_budgeted_amount) as original_amount,
        sum(budgeted_co_amount) as approved_changes,
        sum(revised_budgeted_amount) as revised_amount,
        sum(revised_committed_amount) as committed_amount,
        sum(actual_amount) as actual_amount,
        sum(cost_to_complete) as cost_to_complete,
        sum(cost_at_completion) as cost_at_completion
    from budgets
    where budget_type <> 'none' and project_id <> 'X'
    group by 1, 2, 3, 4

)

select
    concat(lines.project_id, '|', coalesce(lines.cost_code, ''), '|', lines.cost_type, '|', lines.budget_type) as record_id,
    lines.updated_at,
    lines.project_id,
    lines.cost_code,
    lines.cost_type,
    lines.budget_type,
    lines.original_amount,
    lines.approved_changes,
    lines.revised_amount,
    lines.committed_amount,
    lines.actual_amount,
    lines.cost_to_complete,
    lines.cost_at_completion,
    projects.currency
from lines
left join projects on lines.project_id = projects.project_id
