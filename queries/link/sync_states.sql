-- title:    What the integration tool says of PM's records
-- question: Which records has the tool sent, held or refused?
-- grain:    one row per PM record that the tool speaks of
-- columns:
--   entity             entity of the canonical model
--   record_id          PM's record id
--   project_id         PM's record id of the project; null = firm level
--   label              what people call it
--   status             the tool's word, in lower case
--   message            its message
--   since              when it said so, UTC: the event, else the record's last change
--   amount             the record's amount
--   currency           of the amount
--   state              failed, waiting or other

with records as (

    select 'vendors' as entity, record_id, cast(null as varchar) as project_id, name as label, sync_status, sync_error, updated_at,
        cast(null as decimal(18,2)) as amount, cast(null as varchar) as currency
    from pm.vendors
    union all
    select 'commitments' as entity, record_id, project_id, number, sync_status, sync_error, updated_at, revised_amount, currency
    from pm.commitments
    union all
    select 'change_orders' as entity, record_id, project_id, number, sync_status, sync_error, updated_at, amount, currency
    from pm.change_orders
    union all
    select 'owner_invoices' as entity, record_id, project_id, number, sync_status, sync_error, updated_at, net_amount, currency
    from pm.owner_invoices
    union all
    select 'vendor_invoices' as entity, record_id, project_id, number, sync_status, sync_error, updated_at, net_amount, currency
    from pm.vendor_invoices

),

events as (

    select
        entity,
        record_id,
        status,
        message,
        at,
        row_number() over (partition by entity, record_id order by at desc nulls last, status) as turn
    from pm.sync_events

),

-- The tool's latest event speaks before the status on the record, which may be older.
told as (

    select
        coalesce(records.entity, events.entity) as entity,
        coalesce(records.record_id, events.record_id) as record_id,
        records.project_id,
        coalesce(records.label, records.record_id, events.record_id) as label,
        lower(trim(coalesce(events.status, records.sync_status))) as status,
        nullif(trim(coalesce(events.message, records.sync_error)), '') as message,
        coalesce(events.at, records.updated_at) as since,
        records.amount,
        records.currency
    from records
    full join (select * from events where turn = 1) as events on
        events.entity = records.entity and
        events.record_id = records.record_id
    where events.status is not null or records.sync_status is not null or nullif(trim(records.sync_error), '') is not null

)

select
    told.*,
    case
        -- Tools spell it export_failed, Failed to Export, rejected_by_accounting.
        when regexp_like(status, 'fail|reject|error|invalid|stale') then 'failed'
        when regexp_like(status, 'ready|progress|export(g?ing)$|pending|waiting|queued') then 'waiting'
        when status is null and message is not null then 'failed'
        else 'other'
    end as state
from told
