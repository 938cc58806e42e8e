-- title:    Active companies that nothing links
-- grain:    one row per vendor or customer of a side, with its canonical columns

select 'vendors' as entity, 'pm' as side, *
from pm.vendors
left anti join link.vendors as links on links.pm_id = vendors.record_id
where coalesce(is_active, true)
union all
select 'vendors' as entity, 'erp' as side, *
from erp.vendors
left anti join link.vendors as links on links.erp_id = vendors.record_id
where coalesce(is_active, true)
union all
select 'customers' as entity, 'pm' as side, *
from pm.customers
left anti join link.customers as links on links.pm_id = customers.record_id
where coalesce(is_active, true)
union all
select 'customers' as entity, 'erp' as side, *
from erp.customers
left anti join link.customers as links on links.erp_id = customers.record_id
where coalesce(is_active, true)
