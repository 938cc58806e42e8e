-- title:    Owner invoices linked across the two systems
-- question: Which PM application for payment is which ERP receivable, and how do we know?
-- grain:    one row per linked pair; rows that share group_id are compared as one
-- kind:     links
-- entity:   owner_invoices
-- splits:   erp     (several ERP documents that store one PM id are one group: a bill split in two)
-- columns:
--   group_id           what is compared as one: the smallest PM record_id of the group
--   pm_id              PM's record_id
--   erp_id             ERP's record_id
--   method             the first method that hit: crosswalk, explicit, number (invoice number, else application number)
--   score              worth of the method: 1.00 stored by somebody, less where concluded

-- In the linked project; contracts agree if linked, if a side knows none, or if neither is linked ('?').
select
    'pm' as side,
    owner_invoices.source,
    coalesce(project_links.erp_source, books_of(owner_invoices.source), '?') as partner_source,
    owner_invoices.record_id,
    owner_invoices.linked_id as stored_id,
    owner_invoices.number,
    project_links.erp_id as parent,
    owner_invoices.kind,
    coalesce(contract_links.erp_id, case when owner_invoices.contract_id is not null then '?' end) as contract_id,
    owner_invoices.number_key,
    owner_invoices.application_number as second_number,
    owner_invoices.approval_status in ('void', 'rejected') as is_void
from pm.owner_invoices
left join shared.pm_connections as project_links on project_links.pm_id = owner_invoices.project_id
left join link.prime_contracts as contract_links on contract_links.pm_id = owner_invoices.contract_id

union all

select
    'erp' as side,
    owner_invoices.source,
    jobs.pm_source as partner_source,
    owner_invoices.record_id,
    owner_invoices.linked_id as stored_id,
    owner_invoices.number,
    owner_invoices.project_id as parent,
    owner_invoices.kind,
    coalesce(contract_links.erp_id, case when owner_invoices.contract_id is not null then '?' end) as contract_id,
    owner_invoices.number_key,
    owner_invoices.application_number as second_number,
    owner_invoices.approval_status in ('void', 'rejected') as is_void
from erp.owner_invoices
left join shared.erp_connections as jobs on jobs.erp_id = owner_invoices.project_id
left join (select distinct erp_id from link.prime_contracts) as contract_links
    on contract_links.erp_id = owner_invoices.contract_id
