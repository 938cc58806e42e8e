-- title:    Stored ids that point at nothing
-- check:    R1
-- entity:   commitments
-- scope:    project
-- by_entity: vendors, customers, projects, commitments, change_orders, owner_invoices, vendor_invoices
-- fix_side: pm
-- version:  3
-- risk:     the amount of the record that stores the id
-- question: Which records say that the other side has them, and it does not?
-- grain:    one row per record with such an id: vendors, customers, projects, commitments, change orders, invoices; one row per connection and
--           entity of which no id names anything
-- requires: pm.*.linked_id|erp.*.linked_id
-- fix:      Unlink the record and send it again, or restore the record that it names.
-- columns:
--   side               pm or erp: the side that stores the id
--   stored_id          the id as stored
--   holder_count       living records that store the same; of a connection's entity, all that store one

-- An owner stands in PM's directory of companies, and stores the ERP's customer.
with orphans as (

    select ids.*
    from link.stored_ids as ids
    left anti join erp.customers as owners on
        ids.entity = 'vendors' and ids.side = 'pm' and upper(ids.stored_id) = upper(own_key(owners.source, owners.record_id))
    left anti join erp.customers as coded on
        ids.entity = 'vendors' and ids.side = 'pm' and upper(ids.stored_id) = upper(coded.code)
    where ids.target_count = 0

),

-- Where none of them names anything they are not the other side's keys: that is one thing to look at, not one for each record.
told as (

    select entity, side, record_id, project_id, label, stored_id, amount, currency, holder_count,
        'stores the id ' || stored_id || ', which names nothing on the other side' as says, true as is_record
    from orphans
    where not is_foreign and not is_linked and not is_void

    union all

    select entity, side, coalesce(source, 'source') || ':*' as record_id, cast(null as varchar) as project_id, 'of ' || coalesce(source, 'the source'),
        min(stored_id), cast(0 as decimal(18,2)), cast(null as varchar), count(*),
        'store ' || cast(count(*) as varchar) || ' ids, such as ' || min(stored_id) || ', and none of them names anything on the other side', false
    from orphans
    where is_foreign
    group by entity, side, source

)

select
    'R1:' || ids.entity || ':' || ids.side || ':' || ids.record_id as exception_key,
    ids.project_id,
    projects.number as project_number,
    case when ids.side = 'pm' and ids.is_record then ids.record_id end as pm_id,
    case when ids.side = 'erp' and ids.is_record then ids.record_id end as erp_id,
    ids.label,
    replace(case when ids.is_record then trim(trailing 's' from ids.entity) else ids.entity end, '_', ' ') || ' ' || ids.label ||
        case ids.side when 'pm' then ' in PM ' else ' in the ERP ' end || ids.says as detail,
    case when ids.side = 'pm' then ids.stored_id end as pm_value,
    case when ids.side = 'erp' then ids.stored_id end as erp_value,
    cast(abs(coalesce(ids.amount, 0)) as decimal(18,2)) as amount_at_risk,
    coalesce(ids.currency, setting_text('currency')) as currency,
    cast(null as timestamp with time zone) as occurred_at,
    'unknown' as cause,
    -- The record itself is missing on the other side: that check counts its money, where it is one that must be there.
    case
        when ids.side = 'erp' or not ids.is_record then null
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
from told as ids
left join pm.projects on projects.record_id = ids.project_id
