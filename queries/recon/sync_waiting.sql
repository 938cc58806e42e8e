-- title:    Records that wait for the accounting approver
-- check:    S2
-- entity:   vendor_invoices
-- scope:    project
-- record_owner: pm
-- fix_side: erp
-- version:  4
-- risk:     the record's amount
-- question: What has accounting neither accepted nor rejected, in the integration tool or in the ERP?
-- grain:    one row per PM record; one per linked group of which the ERP's document is not released
-- parameters: approver_days = 2
-- by_entity: vendors, commitments, change_orders, owner_invoices, vendor_invoices
-- optional: pm.sync_events
-- fix:      The accounting approver accepts or rejects it (Procore: ERP Integrations > Ready to Export); in the ERP, release it or reject it.
-- columns:
--   status             the tool's word; of the ERP's document: draft (on hold) or pending
--   since              since when, UTC
--   days_waiting       whole days from then to the commit's observed_at
--   verdict            null; not_evaluated where nobody tells since when

with in_the_tool as (

    select entity, record_id, cast(null as varchar) as erp_id, project_id, label, status, since, amount, currency
    from link.sync_states
    where state = 'waiting'

),

unreleased as (

    select 'vendor_invoices' as entity, bills.* from link.unreleased_bills as bills
    union all
    select 'owner_invoices' as entity, invoices.* from link.unreleased_owner_invoices as invoices

),

in_the_erp as (

    select documents.entity, documents.group_id as record_id, documents.erp_id, documents.project_id, documents.label,
        documents.approval_status as status, documents.since, documents.amount, documents.currency
    from unreleased as documents
    left anti join in_the_tool on in_the_tool.entity = documents.entity and in_the_tool.record_id = documents.group_id

),

waiting as (

    select
        records.*,
        (to_unixtime(clock.observed_at) - to_unixtime(records.since)) / 86400 as days_waiting
    from (select * from in_the_tool union all select * from in_the_erp) as records
    cross join meta.clock
    where coalesce(to_unixtime(clock.observed_at) - to_unixtime(records.since) > setting_integer('approver_days') * 86400, true)

)

select
    'S2:' || waiting.entity || ':' || waiting.record_id as exception_key,
    waiting.project_id,
    projects.number as project_number,
    waiting.record_id as pm_id,
    waiting.erp_id,
    waiting.label,
    replace(trim(trailing 's' from waiting.entity), '_', ' ') || ' ' || waiting.label ||
        case when waiting.erp_id is null then ' waits in the integration tool' else ' is not released in the ERP' end ||
        coalesce(' for ' || cast(waiting.days_waiting as varchar) || ' days', ', and nobody knows since when') as detail,
    case when waiting.erp_id is null then waiting.status else 'approved' end as pm_value,
    case when waiting.erp_id is not null then waiting.status end as erp_value,
    cast(abs(coalesce(waiting.amount, 0)) as decimal(18,2)) as amount_at_risk,
    coalesce(waiting.currency, setting_text('currency')) as currency,
    waiting.since as occurred_at,
    'unknown' as cause,
    case
        when waiting.erp_id is not null then null
        when waiting.entity = 'vendors' then 'V1:'
        when waiting.entity = 'commitments' then 'M1:'
        when waiting.entity = 'change_orders' then 'O1:'
        when waiting.entity = 'owner_invoices' then 'I1:'
        when waiting.entity = 'vendor_invoices' then 'I2:'
    end || waiting.record_id as explained_by,
    waiting.entity,
    waiting.status,
    waiting.since,
    waiting.days_waiting,
    case when waiting.days_waiting is null then 'not_evaluated' end as verdict
from waiting
left join pm.projects on projects.record_id = waiting.project_id
