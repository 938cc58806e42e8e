-- title:    Records of both sides that may store a key of the other
-- grain:    one row per record; `number` and `reference` are what people call it, `label` its name where it has one

select 'vendors' as entity, 'pm' as side, record_id, code as number, cast(null as varchar) as reference, linked_id, cast(null as varchar) as project_id, name as label,
    cast(null as decimal(18,2)) as amount, cast(null as varchar) as currency,
    -- A company that was merged away is retired, and keeps the id of the one that stays.
    case when not coalesce(is_active, true) then 'void' end as approval_status,
    source
from pm.vendors
union all
select 'vendors', 'erp', record_id, code, null, linked_id, null, name, null, null, case when not coalesce(is_active, true) then 'void' end, source
from erp.vendors
union all
select 'customers', 'pm', record_id, code, null, linked_id, null, name, null, null, case when not coalesce(is_active, true) then 'void' end, source
from pm.customers
union all
select 'customers', 'erp', record_id, code, null, linked_id, null, name, null, null, case when not coalesce(is_active, true) then 'void' end, source
from erp.customers
union all
select 'projects', 'pm', record_id, number, null, linked_id, record_id as project_id, name, null, null, null, source from pm.projects
union all
select 'projects', 'erp', record_id, number, null, linked_id, record_id as project_id, name, null, null, null, source from erp.projects
union all
select 'commitments', 'pm', record_id, number, null, linked_id, project_id, number as label, revised_amount, currency, approval_status, source from pm.commitments
union all
select 'commitments', 'erp', record_id, number, external_reference, linked_id, project_id, number as label, revised_amount, currency, approval_status, source from erp.commitments
union all
select 'change_orders', 'pm', record_id, number, null, linked_id, project_id, number as label, amount, currency, approval_status, source from pm.change_orders
union all
select 'change_orders', 'erp', record_id, number, external_reference, linked_id, project_id, number as label, amount, currency, approval_status, source from erp.change_orders
union all
select 'owner_invoices', 'pm', record_id, number, null, linked_id, project_id, number as label, net_amount, currency, approval_status, source from pm.owner_invoices
union all
select 'owner_invoices', 'erp', record_id, number, null, linked_id, project_id, number as label, net_amount, currency, approval_status, source from erp.owner_invoices
union all
select 'vendor_invoices', 'pm', record_id, number, null, linked_id, project_id, number as label, net_amount, currency, approval_status, source from pm.vendor_invoices
union all
select 'vendor_invoices', 'erp', record_id, number, null, linked_id, project_id, number as label, net_amount, currency, approval_status, source from erp.vendor_invoices
