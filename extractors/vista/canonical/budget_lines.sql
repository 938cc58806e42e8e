-- title: Vista job budgets
-- grain: one job × phase × cost type
-- The months of a phase and cost type added up: estimated first, estimated now (with change orders, internal ones too), committed, cost.
-- A phase and cost type that nothing was posted to has what its own row says.
--   January 100.00 and 100.00, May 0.00 and 15.00 → original 100.00, changes 15.00, revised 115.00.

with months as (

    select jc_co, job, phase_group, phase, cost_type, sum(orig_est_cost) as original_amount, sum(curr_est_cost) as revised_amount,
        sum(total_cmtd_cost) as committed_amount, sum(actual_cost) as actual_amount
    from source.job_cost_months
    group by jc_co, job, phase_group, phase, cost_type

),

lines as (

    select * from months

    union all

    select rows.jc_co, rows.job, rows.phase_group, rows.phase, rows.cost_type, rows.orig_cost, rows.orig_cost as revised_amount,
        0.00, 0.00 as actual_amount
    from source.job_cost_types as rows
    left anti join months on
        months.jc_co = rows.jc_co and months.job = rows.job and months.phase_group = rows.phase_group and
        months.phase = rows.phase and months.cost_type = rows.cost_type

)

select
    concat(lines.jc_co, '|', trim(lines.job), '|', trim(lines.phase), '|', lines.cost_type) as record_id,
    concat(lines.jc_co, '|', trim(lines.job)) as project_id,
    nullif(rtrim(regexp_replace(trim(lines.phase), ' *([^A-Za-z0-9 ]) *', '\1', 'g'), '-./ '), '') as cost_code,
    coalesce(types.code, cast(lines.cost_type as varchar)) as cost_type,
    'cost' as budget_type,
    lines.original_amount,
    lines.revised_amount - lines.original_amount as approved_changes,
    lines.revised_amount,
    lines.committed_amount,
    lines.actual_amount
from lines
left join shared.cost_types as types on types.phase_group = lines.phase_group and types.cost_type = lines.cost_type
