-- title: Sage Intacct job budgets
-- grain: one project × task × cost type
-- The lines of the project's primary estimate, added up by workflow type: original and approvedChange; the revised budget has its revisions
-- too. Forecasts and pending changes are no budget, and estimates that are not primary never were one.
--   original 100.00, revision 10.00, approvedChange 5.00, pendingChange 7.00 → original 100.00, changes 5.00, revised 115.00.
-- Committed is what purchasing documents hold on the code now, their posted changes included.

with primary_estimates as (

    select key as estimate, nullif(trim(currency), '') as currency
    from source.estimates
    where coalesce(is_primary, false) and coalesce(lower(trim(status)), '') <> 'inactive'

),

planned as (

    select
        trim(lines.project) as project_id, nullif(trim(lines.task), '') as cost_code, nullif(trim(lines.cost_type), '') as cost_type,
        max(lines.modified_date_time) as updated_at, min(primary_estimates.currency) as currency,
        sum(case when lower(trim(lines.workflow_type)) = 'original' then lines.amount else cast(0 as decimal(24, 6)) end) as original_amount,
        sum(case when lower(trim(lines.workflow_type)) in ('approvedchange', 'approved change') then lines.amount else cast(0 as decimal(24, 6)) end) as approved_changes,
        sum(case
            when lower(trim(lines.workflow_type)) in ('original', 'revision', 'approvedchange', 'approved change') then lines.amount else 0
        end) as revised_amount
    from source.estimate_lines as lines
    inner join primary_estimates on primary_estimates.estimate = lines.estimate
    where nullif(trim(lines.project), '') is not null
    group by 1, 2, 3

),

committed as (

    select trim(project) as project_id, nullif(trim(task), '') as cost_code, nullif(trim(cost_type), '') as cost_type,
        sum(revised_amount) as committed_amount
    from source.primary_document_lines
    group by 1, 2, 3

)

select
    concat(planned.project_id, '|', coalesce(planned.cost_code, ''), '|', coalesce(planned.cost_type, ''), '|cost') as record_id,
    planned.updated_at,
    planned.project_id,
    planned.cost_code,
    planned.cost_type,
    'cost' as budget_type,
    planned.original_amount,
    planned.approved_changes,
    planned.revised_amount,
    coalesce(committed.committed_amount, cast(0 as decimal(24, 6))) as committed_amount,
    planned.currency
from planned
left join committed on
    committed.project_id = planned.project_id and
    (committed.cost_code is not distinct from planned.cost_code) and
    (committed.cost_type is not distinct from planned.cost_type)
