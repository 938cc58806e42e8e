-- title:    Companies that nothing links, by what could link them
-- grain:    one row per active vendor or customer of a side, and per tax id and name that it has

select 'vendors' as entity, 'pm' as side, record_id, 'tax_id' as basis, tax_id_hash as key, name as label
from pm.vendors
left anti join link.vendors as links on links.pm_id = vendors.record_id
where tax_id_hash is not null and nullif(trim(linked_id), '') is null and coalesce(is_active, true)
union all
select 'vendors', 'pm', record_id, 'name', name_key, name
from pm.vendors
left anti join link.vendors as links on links.pm_id = vendors.record_id
where name_key is not null and nullif(trim(linked_id), '') is null and coalesce(is_active, true)
union all
select 'vendors', 'erp', record_id, 'tax_id', tax_id_hash, name
from erp.vendors
left anti join link.vendors as links on links.erp_id = vendors.record_id
where tax_id_hash is not null and nullif(trim(linked_id), '') is null and coalesce(is_active, true)
union all
select 'vendors', 'erp', record_id, 'name', name_key, name
from erp.vendors
left anti join link.vendors as links on links.erp_id = vendors.record_id
where name_key is not null and nullif(trim(linked_id), '') is null and coalesce(is_active, true)
union all
select 'customers', 'pm', record_id, 'tax_id', tax_id_hash, name
from pm.customers
left anti join link.customers as links on links.pm_id = customers.record_id
where tax_id_hash is not null and nullif(trim(linked_id), '') is null and coalesce(is_active, true)
union all
select 'customers', 'pm', record_id, 'name', name_key, name
from pm.customers
left anti join link.customers as links on links.pm_id = customers.record_id
where name_key is not null and nullif(trim(linked_id), '') is null and coalesce(is_active, true)
union all
select 'customers', 'erp', record_id, 'tax_id', tax_id_hash, name
from erp.customers
left anti join link.customers as links on links.erp_id = customers.record_id
where tax_id_hash is not null and nullif(trim(linked_id), '') is null and coalesce(is_active, true)
union all
select 'customers', 'erp', record_id, 'name', name_key, name
from erp.customers
left anti join link.customers as links on links.erp_id = customers.record_id
where name_key is not null and nullif(trim(linked_id), '') is null and coalesce(is_active, true)
