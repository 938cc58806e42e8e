-- title: Job costing budgets, as a residential builder's system exports them
-- grain: one cost code of a job
-- Codes are flat text: of '01-100 Site work' the first word, if it has a digit; else all of it. Categories are no cost types.
-- Without a revised column the budget is the original one.

select
    _key as record_id,
    job as project_id,
    coalesce(
        nullif(regexp_replace(trim(cost_code), '^([0-9][0-9A-Za-z.-]*)([ :].*)?$|^.*$', '\1'), ''),
        nullif(trim(cost_code), '')
    ) as cost_code,
    'cost' as budget_type,
    original_budget as original_amount,
    revised_budget - original_budget as approved_changes,
    coalesce(revised_budget, original_budget) as revised_amount,
    committed as committed_amount,
    actual as actual_amount,
    projected as cost_at_completion,
    currency
from source.budget
