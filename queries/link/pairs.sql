-- title:    Links of all entities
-- question: Which records of both sides are one, whatever they are?
-- grain:    one row per entity and linked pair
-- columns:
--   entity             entity of the canonical model
--   pm_id              PM's record id
--   erp_id             the ERP's

select 'vendors' as entity, pm_id, erp_id from link.vendors
union all
select 'customers' as entity, pm_id, erp_id from link.customers
union all
select 'projects' as entity, pm_id, erp_id from link.projects
union all
select 'prime_contracts' as entity, pm_id, erp_id from link.prime_contracts
union all
select 'commitments' as entity, pm_id, erp_id from link.commitments
union all
select 'change_orders' as entity, pm_id, erp_id from link.change_orders
union all
select 'owner_invoices' as entity, pm_id, erp_id from link.owner_invoices
union all
select 'vendor_invoices' as entity, pm_id, erp_id from link.vendor_invoices
