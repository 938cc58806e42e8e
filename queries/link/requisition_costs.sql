-- title:    Cost that PM has from approved requisitions
-- question: Which cost stands in PM by its subcontractor invoices, and nowhere a second time?
-- grain:    one row per line of an approved requisition of a linked project; one per requisition whose lines were not given
-- columns:
--   project_id         PM's record id of the project; of several that are one ERP project the first
--   invoice_id         PM's record id of the requisition
--   group_id           its linked group
--   cost_code          as PM writes it
--   cost_type          the ERP's cost type, where it is linked
--   dated              day of the requisition
--   amount             gross; without stored materials that the connector leaves out
--   currency           of the amount
--   moved_at           when it was approved, else last changed, UTC

with types as (

    select * from shared.linked_types

),

jobs as (

    select * from shared.joined_projects

),

groups as (

    select pm_id, min(group_id) as group_id from link.vendor_invoices group by pm_id

),

requisitions as (

    select
        jobs.project_id,
        jobs.erp_source,
        invoices.source,
        invoices.record_id as invoice_id,
        groups.group_id,
        coalesce(invoices.invoice_date, invoices.period_end, firm_day(invoices.approved_at)) as dated,
        coalesce(invoices.approved_at, invoices.updated_at, invoices.created_at) as moved_at,
        invoices.gross_amount - coalesce(materials.gross_amount, 0) as gross_amount,
        materials.invoice_id is not null as is_without_materials,
        invoices.currency
    from pm.vendor_invoices as invoices
    inner join jobs on jobs.pm_id = invoices.project_id
    left join link.unsynced_materials as materials on materials.invoice_id = invoices.record_id
    left join groups on groups.pm_id = invoices.record_id
    left anti join link.repeated_costs as repeated on repeated.group_id = groups.group_id
    where invoices.approval_status in ('approved', 'closed')

)

select requisitions.project_id, requisitions.invoice_id, requisitions.group_id, lines.cost_code, types.erp_type as cost_type, requisitions.dated,
    lines.amount - case when requisitions.is_without_materials then coalesce(lines.stored_materials_amount, 0) else 0 end as amount,
    requisitions.currency, requisitions.moved_at
from requisitions
inner join pm.vendor_invoice_lines as lines on lines.invoice_id = requisitions.invoice_id
left join types on
    types.pm_type = lines.cost_type and
    coalesce(types.pm_source, '') = coalesce(requisitions.source, '') and
    coalesce(types.erp_source, '') = coalesce(requisitions.erp_source, '')

union all

-- One whose lines were not given stands on no code: its cost is never dropped.
select project_id, invoice_id, group_id, cast(null as varchar) as cost_code, cast(null as varchar) as cost_type, dated, gross_amount as amount,
    currency, moved_at
from requisitions
left anti join pm.vendor_invoice_lines as lines on lines.invoice_id = requisitions.invoice_id
