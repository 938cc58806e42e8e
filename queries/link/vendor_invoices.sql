-- title:    Vendor invoices linked across the two systems
-- question: Which PM pay application is which ERP bill, and how do we know?
-- grain:    one row per linked pair; rows that share group_id are compared as one
-- kind:     links
-- entity:   vendor_invoices
-- splits:   erp     (several ERP documents that store one PM id are one group: a bill split in two)
-- columns:
--   group_id           what is compared as one: the smallest PM record_id of the group
--   pm_id              PM's record_id
--   erp_id             ERP's record_id
--   method             the first method that hit: crosswalk, explicit, number
--   score              worth of the method: 1.00 stored by somebody, less where concluded

with vendor_links as (

    select links.pm_id, links.erp_id, companies.source as erp_source
    from link.vendors as links
    left join erp.vendors as companies on companies.record_id = links.erp_id

)

-- In the linked vendor, and the linked commitment where both sides know one: requisition 3 of two subcontracts of one vendor
-- is two requisitions. Commitments that neither side has linked ('?') do not tell them apart.
select
    'pm' as side,
    vendor_invoices.source,
    coalesce(project_links.erp_source, books_of(vendor_invoices.source), '?') as partner_source,
    vendor_invoices.record_id,
    vendor_invoices.linked_id as stored_id,
    vendor_invoices.number,
    vendor_links.erp_id as parent,
    vendor_invoices.kind,
    coalesce(commitment_links.erp_id, case when vendor_invoices.commitment_id is not null then '?' end) as contract_id,
    vendor_invoices.number_key,
    vendor_invoices.approval_status in ('void', 'rejected') as is_void
from pm.vendor_invoices
left join shared.pm_connections as project_links on project_links.pm_id = vendor_invoices.project_id
-- A vendor may stand in several ERPs: in that of the project.
left join vendor_links on
    vendor_links.pm_id = vendor_invoices.vendor_id and
    coalesce(project_links.erp_source = vendor_links.erp_source, true)
left join link.commitments as commitment_links on commitment_links.pm_id = vendor_invoices.commitment_id

union all

select
    'erp' as side,
    vendor_invoices.source,
    jobs.pm_source as partner_source,
    vendor_invoices.record_id,
    vendor_invoices.linked_id as stored_id,
    vendor_invoices.number,
    vendor_invoices.vendor_id as parent,
    vendor_invoices.kind,
    coalesce(commitment_links.erp_id, case when vendor_invoices.commitment_id is not null then '?' end) as contract_id,
    vendor_invoices.number_key,
    vendor_invoices.approval_status in ('void', 'rejected') as is_void
from erp.vendor_invoices
left join shared.erp_connections as jobs on jobs.erp_id = vendor_invoices.project_id
left join (select distinct erp_id from link.commitments) as commitment_links
    on commitment_links.erp_id = vendor_invoices.commitment_id
