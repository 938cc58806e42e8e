-- title: Estimates of Sage 300 CRE
-- grain: one cost code with a category of a job, over its extras

select
    concat(upper(trim(job)), '|', upper(trim(cost_code)), '|', upper(trim(category))) as record_id,
    upper(trim(job)) as project_id,
    min(trim(cost_code)) as cost_code,
    upper(trim(category)) as cost_type,
    'cost' as budget_type,
    sum(original_estimate) as original_amount,
    sum(approved_estimate_changes) as approved_changes,
    sum(original_estimate + coalesce(approved_estimate_changes, 0)) as revised_amount,
    sum(revised_commitment) as committed_amount,
    sum(jtd_cost) as actual_amount,
    min(currency) as currency
from source.categories
group by upper(trim(job)), upper(trim(cost_code)), upper(trim(category))
