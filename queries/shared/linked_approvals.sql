-- title:    Linked records that one side sends when it has approved them, with that approval
-- grain:    one row per linked pair of commitments, change orders, owner or vendor invoices; not approved ones have no date

select 'commitments' as entity, links.pm_id, links.erp_id, erp_side.source as erp_source,
    pm_side.approved_at, pm_side.approved_at_basis
from link.commitments as links
inner join pm.commitments as pm_side on pm_side.record_id = links.pm_id
inner join erp.commitments as erp_side on erp_side.record_id = links.erp_id

union all

select 'change_orders' as entity, links.pm_id, links.erp_id, erp_side.source as erp_source,
    pm_side.approved_at, pm_side.approved_at_basis
from link.change_orders as links
inner join pm.change_orders as pm_side on pm_side.record_id = links.pm_id
inner join erp.change_orders as erp_side on erp_side.record_id = links.erp_id

union all

select 'owner_invoices' as entity, links.pm_id, links.erp_id, erp_side.source as erp_source,
    pm_side.approved_at, pm_side.approved_at_basis
from link.owner_invoices as links
inner join pm.owner_invoices as pm_side on pm_side.record_id = links.pm_id
inner join erp.owner_invoices as erp_side on erp_side.record_id = links.erp_id

union all

select 'vendor_invoices' as entity, links.pm_id, links.erp_id, erp_side.source as erp_source,
    pm_side.approved_at, pm_side.approved_at_basis
from link.vendor_invoices as links
inner join pm.vendor_invoices as pm_side on pm_side.record_id = links.pm_id
inner join erp.vendor_invoices as erp_side on erp_side.record_id = links.erp_id
