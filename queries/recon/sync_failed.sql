-- title:    Records that the integration tool could not send
-- check:    S1
-- entity:   vendor_invoices
-- scope:    project
-- record_owner: pm
-- fix_side: pm
-- version:  2
-- risk:     the record's amount
-- question: What failed, was rejected or went stale on its way to the ERP, and with what message?
-- grain:    one row per PM record
-- requires: pm.vendor_invoices.sync_status|pm.commitments.sync_status|pm.change_orders.sync_status
-- optional: pm.sync_events
-- fix:      Read the message, correct the record where it was entered, send it again.
-- columns:
--   status             the tool's word
--   message            its message
--   since              when it said so, UTC

select
    'S1:' || states.entity || ':' || states.record_id as exception_key,
    states.project_id,
    projects.number as project_number,
    states.record_id as pm_id,
    cast(null as varchar) as erp_id,
    states.label,
    replace(trim(trailing 's' from states.entity), '_', ' ') || ' ' || states.label || ' is ' || coalesce(states.status, 'failed') ||
        ' in the integration tool' || coalesce(': ' || states.message, '') as detail,
    states.status as pm_value,
    cast(null as varchar) as erp_value,
    cast(abs(coalesce(states.amount, 0)) as decimal(18,2)) as amount_at_risk,
    coalesce(states.currency, setting_text('currency')) as currency,
    states.since as occurred_at,
    case
        when states.status like '%reject%' then 'rejected by accounting'
        when states.message is not null then 'failed with message'
        else 'unknown'
    end as cause,
    -- Where the record is missing in the ERP, that check counts its money.
    case states.entity
        when 'vendors' then 'V1:'
        when 'commitments' then 'M1:'
        when 'change_orders' then 'O1:'
        when 'owner_invoices' then 'I1:'
        when 'vendor_invoices' then 'I2:'
    end || states.record_id as explained_by,
    states.entity,
    states.status,
    states.message,
    states.since
from link.sync_states as states
left join pm.projects on projects.record_id = states.project_id
where states.state = 'failed'
