-- title:    PM records that only their number could link, and nothing does
-- question: What are they called, and within what must that be unique?
-- grain:    one row per record, and per ERP record that its project or vendor is
-- columns:
--   entity             entity of the canonical model
--   record_id          its record id
--   number_key         normalised number
--   parent             ERP record id of its project; of its vendor for vendor invoices
--   kind               must agree where both sides know it
--   contract_id        ERP record id of its contract: must agree where both sides know it
--   project_id         PM's record id of the project
--   label              what people call it
--   amount             the record's amount
--   currency           of the amount

select 'commitments' as entity, orders.record_id, orders.number_key, projects.erp_id as parent, orders.kind,
    cast(null as varchar) as contract_id, orders.project_id, orders.number as label, orders.revised_amount as amount, orders.currency
from pm.commitments as orders
inner join link.projects as projects on projects.pm_id = orders.project_id
left anti join link.commitments as links on links.pm_id = orders.record_id
left anti join link.stored_ids as ids on
    ids.entity = 'commitments' and ids.side = 'pm' and ids.record_id = orders.record_id and not ids.is_foreign
where coalesce(orders.approval_status, 'pending') not in ('void', 'rejected')

union all

select 'change_orders' as entity, orders.record_id, orders.number_key, projects.erp_id as parent, orders.kind,
    contracts.erp_id as contract_id, orders.project_id, orders.number as label, orders.amount, orders.currency
from pm.change_orders as orders
inner join link.projects as projects on projects.pm_id = orders.project_id
left join link.commitments as contracts on contracts.pm_id = orders.contract_id and orders.kind = 'commitment'
left anti join link.change_orders as links on links.pm_id = orders.record_id
left anti join link.stored_ids as ids on
    ids.entity = 'change_orders' and ids.side = 'pm' and ids.record_id = orders.record_id and not ids.is_foreign
where coalesce(orders.approval_status, 'pending') not in ('void', 'rejected')

union all

select 'owner_invoices' as entity, invoices.record_id, invoices.number_key, projects.erp_id as parent, invoices.kind,
    cast(null as varchar) as contract_id, invoices.project_id, invoices.number as label, invoices.net_amount as amount, invoices.currency
from pm.owner_invoices as invoices
inner join link.projects as projects on projects.pm_id = invoices.project_id
left anti join link.owner_invoices as links on links.pm_id = invoices.record_id
left anti join link.stored_ids as ids on
    ids.entity = 'owner_invoices' and ids.side = 'pm' and ids.record_id = invoices.record_id and not ids.is_foreign
where coalesce(invoices.approval_status, 'pending') not in ('void', 'rejected')

union all

select 'vendor_invoices' as entity, invoices.record_id, invoices.number_key, vendors.erp_id as parent, invoices.kind,
    contracts.erp_id as contract_id, invoices.project_id, invoices.number as label, invoices.net_amount as amount, invoices.currency
from pm.vendor_invoices as invoices
inner join link.vendors as vendors on vendors.pm_id = invoices.vendor_id
left join erp.vendors as companies on companies.record_id = vendors.erp_id
left join shared.pm_connections as jobs on jobs.pm_id = invoices.project_id
left join link.commitments as contracts on contracts.pm_id = invoices.commitment_id
left anti join link.vendor_invoices as links on links.pm_id = invoices.record_id
left anti join link.stored_ids as ids on
    ids.entity = 'vendor_invoices' and ids.side = 'pm' and ids.record_id = invoices.record_id and not ids.is_foreign
where
    coalesce(companies.source = coalesce(jobs.erp_source, books_of(invoices.source)), true) and
    coalesce(invoices.approval_status, 'pending') not in ('void', 'rejected')
