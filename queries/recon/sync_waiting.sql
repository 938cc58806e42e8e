-- title:    Records that wait for the accounting approver
-- check:    S2
-- entity:   vendor_invoices
-- scope:    project
-- record_owner: pm
-- fix_side: erp
-- version:  2
-- risk:     the record's amount
-- question: What has accounting neither accepted nor rejected?
-- grain:    one row per PM record
-- parameters: approver_days = 2
-- requires: pm.vendor_invoices.sync_status
-- optional: pm.sync_events
-- fix:      The accounting approver accepts or rejects it (Procore: ERP Integrations > Ready to Export).
-- columns:
--   status             the tool's word
--   since              since when, UTC
--   days_waiting       whole days from then to the commit's observed_at
--   verdict            null; not_evaluated where nobody tells since when

with waiting as (

    select
        states.*,
        (to_unixtime(clock.observed_at) - to_unixtime(states.since)) / 86400 as days_waiting
    from link.sync_states as states
    cross join meta.clock
    where
        states.state = 'waiting' and
        coalesce(to_unixtime(clock.observed_at) - to_unixtime(states.since) > setting_integer('approver_days') * 86400, true)

)

select
    'S2:' || waiting.entity || ':' || waiting.record_id as exception_key,
    waiting.project_id,
    projects.number as project_number,
    waiting.record_id as pm_id,
    cast(null as varchar) as erp_id,
    waiting.label,
    replace(trim(trailing 's' from waiting.entity), '_', ' ') || ' ' || waiting.label || ' waits in the integration tool' ||
        coalesce(' for ' || cast(waiting.days_waiting as varchar) || ' days', ', and nobody knows since when') as detail,
    waiting.status as pm_value,
    cast(null as varchar) as erp_value,
    cast(abs(coalesce(waiting.amount, 0)) as decimal(18,2)) as amount_at_risk,
    coalesce(waiting.currency, setting_text('currency')) as currency,
    waiting.since as occurred_at,
    'unknown' as cause,
    case waiting.entity
        when 'vendors' then 'V1:'
        when 'commitments' then 'M1:'
        when 'change_orders' then 'O1:'
        when 'owner_invoices' then 'I1:'
        when 'vendor_invoices' then 'I2:'
    end || waiting.record_id as explained_by,
    waiting.entity,
    waiting.status,
    waiting.since,
    waiting.days_waiting,
    case when waiting.days_waiting is null then 'not_evaluated' end as verdict
from waiting
left join pm.projects on projects.record_id = waiting.project_id
