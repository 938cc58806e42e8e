-- title: Procore direct costs
-- grain: one line of an approved direct cost
-- statuses: draft, pending, revise_and_resubmit, approved
-- Only approved ones are cost. The header's amount stays null for days, so the lines are what counts; without tax.
-- 01-500.L is code 01-500 with type L.

with demo_projects as (

    select id from source.projects where is_demo

)

select
    lines._key as record_id,
    coalesce(nullif(trim(lines.origin_id), ''), nullif(trim(costs.origin_id), '')) as linked_id,
    lines.created_at,
    lines.updated_at,
    cast(costs.project_id as varchar) as project_id,
    coalesce(
        nullif(trim(lines.cost_code), ''),
        nullif(split_part(lines.flat_code, '.', -2), '')
    ) as cost_code,
    coalesce(
        nullif(trim(lines.cost_type), ''),
        case when strpos(lines.flat_code, '.') > 0 then nullif(split_part(lines.flat_code, '.', -1), '') end
    ) as cost_type,
    coalesce(costs.direct_cost_date, costs.received_date) as cost_date,
    coalesce(lines.amount, lines.extended_amount, lines.total_amount) as amount,
    costs.direct_cost_type as document_type,
    coalesce(nullif(trim(costs.invoice_number), ''), cast(costs.id as varchar)) as document_id,
    costs.currency_iso_code as currency
from source.direct_cost_lines as lines
inner join source.direct_costs as costs on lines.direct_cost_id = costs.id
left anti join demo_projects on costs.project_id = demo_projects.id
where lower(trim(costs.status)) = 'approved' and costs.deleted_at is null
