-- title: Estimates of Sage 300 CRE
-- grain: one cost code with a category of a job, over its extras
-- Money is a float: each row is rounded before it is added, or its noise would add up.

select
    concat(upper(trim(job)), '|', upper(trim(cost_code)), '|', upper(trim(category))) as record_id,
    upper(trim(job)) as project_id,
    min(trim(cost_code)) as cost_code,
    upper(trim(category)) as cost_type,
    'cost' as budget_type,
    sum(round_half_even(original_estimate, 2)) as original_amount,
    sum(round_half_even(approved_estimate_changes, 2)) as approved_changes,
    sum(round_half_even(original_estimate, 2) + coalesce(round_half_even(approved_estimate_changes, 2), 0)) as revised_amount,
    sum(round_half_even(revised_commitment, 2)) as committed_amount,
    sum(round_half_even(jtd_cost, 2)) as actual_amount,
    min(currency) as currency
from source.categories
group by upper(trim(job)), upper(trim(cost_code)), upper(trim(category))
