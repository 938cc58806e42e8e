-- title: Procore lines of subcontractor invoices
-- grain: one row of a requisition
-- Amount = completed and stored to date less that of the period before, as for the invoice, so that the lines add up to gross_amount.
-- Where Procore does not give the total before, it is the work before and the material stored before.
--   G 300.00, D 100.00, stored before 20.00 → 180.00, whether or not the stored material became work.
-- Retainage likewise: retained now less retained before, else retained less released in the period.
-- 01-500.L is code 01-500 with type L.

with demo_projects as (

    select id from source.projects where is_demo

)

select
    items._key as record_id,
    requisitions.created_at,
    requisitions.updated_at,
    requisitions._key as invoice_id,
    coalesce(
        nullif(split_part(items.flat_code, '.', -2), ''),
        nullif(trim(codes.full_code), ''),
        nullif(trim(codes.code), '')
    ) as cost_code,
    case when strpos(items.flat_code, '.') > 0 then nullif(split_part(items.flat_code, '.', -1), '') end as cost_type,
    coalesce(
        items.completed_and_stored - coalesce(
            items.completed_before,
            items.from_previous + coalesce(items.materials_stored_before, cast(0 as decimal(24, 6)))
        ),
        items.claimed_amount
    ) as amount,
    items.materials_stored - coalesce(items.materials_stored_before, cast(0 as decimal(24, 6))) as stored_materials_amount,
    coalesce(
        items.total_retained - items.total_retained_before,
        items.work_retained - coalesce(items.work_released, cast(0 as decimal(24, 6)))
            + coalesce(items.materials_retained, items.materials_new_retained, cast(0 as decimal(24, 6)))
            - coalesce(items.materials_released, cast(0 as decimal(24, 6)))
    ) as retainage_amount,
    requisitions.currency_iso_code as currency
from source.requisition_items as items
inner join source.requisitions as requisitions on items.requisition_id = requisitions.id
left join source.cost_codes as codes on items.cost_code_id = codes.id and requisitions.project_id = codes.project_id
left anti join demo_projects on requisitions.project_id = demo_projects.id
