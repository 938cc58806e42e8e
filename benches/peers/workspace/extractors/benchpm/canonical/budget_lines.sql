-- title: Budgets
-- grain: one line of a project's budget
select
    _key as record_id,
    updated_at,
    cast(project_id as varchar) as project_id,
    cost_code,
    'cost' as budget_type,
    amount as original_amount,
    amount as revised_amount
from source.pm_budget_lines
