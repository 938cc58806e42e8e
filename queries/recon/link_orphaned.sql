-- title:    Stored ids that point at nothing
-- check:    R1
-- entity:   commitments
-- scope:    project
-- by_entity: vendors, customers, projects, commitments, change_orders, owner_invoices, vendor_invoices
-- fix_side: pm
-- version:  2
-- risk:     the amount of the record that stores the id
-- question: Which records say that the other side has them, and it does not?
-- grain:    one row per record with such an id: vendors, customers, projects, commitments, change orders, invoices
-- fix:      Unlink the record and send it again, or restore the record that it names.
-- columns:
--   side               pm or erp: the side that stores the id
--   stored_id          the id as stored
--   holder_count       living records that store the same

select
    'R1:' || ids.entity || ':' || ids.side || ':' || ids.record_id as exception_key,
    ids.project_id,
    projects.number as project_number,
    case when ids.side = 'pm' then ids.record_id end as pm_id,
    case when ids.side = 'erp' then ids.record_id end as erp_id,
    ids.label,
    replace(trim(trailing 's' from ids.entity), '_', ' ') || ' ' || ids.label || case ids.side when 'pm' then ' in PM' else ' in the ERP' end ||
        ' stores the id ' || ids.stored_id || ', which names nothing on the other side' as detail,
    case when ids.side = 'pm' then ids.stored_id end as pm_value,
    case when ids.side = 'erp' then ids.stored_id end as erp_value,
    cast(abs(coalesce(ids.amount, 0)) as decimal(18,2)) as amount_at_risk,
    coalesce(ids.currency, setting_text('currency')) as currency,
    cast(null as timestamp with time zone) as occurred_at,
    'unknown' as cause,
    -- The record itself is missing on the other side: that check counts its money, where it is one that must be there.
    case
        when ids.side = 'erp' then null
        when ids.entity = 'vendors' then 'V1:' || ids.record_id
        when ids.entity = 'projects' then 'J1:' || ids.record_id
        when ids.entity = 'commitments' then 'M1:' || ids.record_id
        when ids.entity = 'change_orders' then 'O1:' || ids.record_id
        when ids.entity = 'owner_invoices' then 'I1:' || ids.record_id
        when ids.entity = 'vendor_invoices' then 'I2:' || ids.record_id
    end as explained_by,
    ids.entity,
    ids.side as fix_side,
    ids.side,
    ids.stored_id,
    ids.holder_count
from link.stored_ids as ids
left join pm.projects on projects.record_id = ids.project_id
-- An owner stands in PM's directory of companies, and stores the ERP's customer.
left anti join erp.customers as owners on
    ids.entity = 'vendors' and
    ids.side = 'pm' and
    upper(ids.stored_id) in (upper(owners.record_id), upper(owners.code))
where ids.target_count = 0 and not ids.is_linked and not ids.is_void
