-- title:    ERP records that only their number could link, and nothing does
-- question: What are they called, and within what must that be unique?
-- grain:    one row per record
-- columns:
--   entity             entity of the canonical model
--   record_id          its record id
--   name               normalised: PM's number as the ERP keeps it, else its own
--   parent             record id of its project; of its vendor for vendor invoices
--   kind               must agree where both sides know it
--   contract_id        record id of its contract: must agree where both sides know it

select 'commitments' as entity, record_id, number_key as name, project_id as parent, kind, cast(null as varchar) as contract_id
from erp.commitments
left anti join link.commitments as links on links.erp_id = commitments.record_id
left anti join link.stored_ids as ids on
    ids.entity = 'commitments' and ids.side = 'erp' and ids.record_id = commitments.record_id and not ids.is_foreign
where coalesce(approval_status, 'pending') not in ('void', 'rejected')

union all

select 'change_orders' as entity, record_id, coalesce(normalize_number(external_reference), number_key) as name, project_id as parent, kind,
    case when kind = 'commitment' then contract_id end as contract_id
from erp.change_orders
left anti join link.change_orders as links on links.erp_id = change_orders.record_id
left anti join link.stored_ids as ids on
    ids.entity = 'change_orders' and ids.side = 'erp' and ids.record_id = change_orders.record_id and not ids.is_foreign
where coalesce(approval_status, 'pending') not in ('void', 'rejected')

union all

select 'owner_invoices' as entity, record_id, number_key as name, project_id as parent, kind, cast(null as varchar) as contract_id
from erp.owner_invoices
left anti join link.owner_invoices as links on links.erp_id = owner_invoices.record_id
left anti join link.stored_ids as ids on
    ids.entity = 'owner_invoices' and ids.side = 'erp' and ids.record_id = owner_invoices.record_id and not ids.is_foreign
where coalesce(approval_status, 'pending') not in ('void', 'rejected')

union all

select 'vendor_invoices' as entity, record_id, number_key as name, vendor_id as parent, kind, commitment_id as contract_id
from erp.vendor_invoices
left anti join link.vendor_invoices as links on links.erp_id = vendor_invoices.record_id
left anti join link.stored_ids as ids on
    ids.entity = 'vendor_invoices' and ids.side = 'erp' and ids.record_id = vendor_invoices.record_id and not ids.is_foreign
where coalesce(approval_status, 'pending') not in ('void', 'rejected')
