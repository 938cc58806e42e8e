-- title:    Change orders approved in PM with no ERP record
-- check:    O1
-- entity:   change_orders
-- scope:    project
-- missing_on: erp
-- record_owner: pm
-- fix_side: pm
-- version:  3
-- risk:     the change order's amount, without its sign
-- question: Which approved change orders has the ERP never received?
-- grain:    one row per PM change order
-- grace:    24 hours
-- parameters: change_order_days = 30
-- fix:      Procore: ERP Integrations > Ready to Export / Failed to Export; else enter it in the ERP.
-- columns:
--   kind               prime or commitment
--   number             the number people use
--   title              title as written
--   contract_id        PM's record id of the contract
--   contract_number    number of the contract
--   vendor_id          PM's record id of the vendor; null for prime change orders
--   amount             change of the contract sum
--   approved_at        when PM approved it, UTC
--   approved_at_basis  source, observed or unknown
--   window             last 30 days, or older
--   stored_erp_id      the ERP id that PM stores, if any: it points at nothing, or at more than one
--   sync_status        what the integration tool says
--   sync_error         the integration tool's message
--   verdict            null; not_applicable for a kind of change order that no ERP source tells

with contracts as (

    select 'commitment' as kind, record_id, number, vendor_id from pm.commitments
    union all
    select 'prime' as kind, record_id, number, cast(null as varchar) as vendor_id from pm.prime_contracts

),

id_columns as (

    select count(linked_id) as stored_count
    from pm.change_orders

),

-- An anti join, not a left join and a null test on an amount: an ERP row with a null amount is still a record.
missing as (

    select change_orders.*,
        setting_list_contains('not_mapped', 'erp.change_orders.' || change_orders.kind) or
            coalesce(setting_list_contains('not_mapped', jobs.erp_source || '.change_orders.' || change_orders.kind), false) as is_untold
    from pm.change_orders as change_orders
    left join shared.joined_projects as jobs on jobs.pm_id = change_orders.project_id
    left anti join link.change_orders as links on links.pm_id = change_orders.record_id
    where change_orders.approval_status = 'approved'

),

explained as (

    -- The amount of a commitment that the ERP lacks holds that of its approved change orders: M1 counts both.
    select
        missing.*,
        contracts.number as contract_number,
        contracts.vendor_id,
        vendor_gaps.exception_key as vendor_exception,
        case when contracts.kind = 'commitment' and commitment_links.pm_id is null then 'M1:' || contracts.record_id end as commitment_exception
    from missing
    left join contracts on
        contracts.kind = missing.kind and
        contracts.record_id = missing.contract_id
    left join (select distinct pm_id from link.commitments) as commitment_links on commitment_links.pm_id = contracts.record_id
    left join recon.vendor_only_in_pm as vendor_gaps on vendor_gaps.pm_id = contracts.vendor_id

)

select
    'O1:' || explained.record_id as exception_key,
    explained.project_id,
    projects.number as project_number,
    explained.record_id as pm_id,
    cast(null as varchar) as erp_id,
    coalesce(explained.contract_number || ' ', '') || coalesce(explained.number, explained.record_id) as label,
    case
        when explained.is_untold then
            'no ERP source tells ' || explained.kind || ' change orders'
        else 'change order ' || coalesce(explained.number, explained.record_id) || ' over ' ||
            coalesce(cast(explained.amount as varchar), 'no amount') || ' is approved in PM and not in the ERP'
    end as detail,
    cast(explained.amount as varchar) as pm_value,
    cast(null as varchar) as erp_value,
    cast(abs(explained.amount) as decimal(18,2)) as amount_at_risk,
    coalesce(explained.currency, setting_text('currency')) as currency,
    -- Approved when first seen and no date told: the last change is the latest that it can have been approved.
    coalesce(explained.approved_at, explained.updated_at, explained.created_at) as occurred_at,
    case
        when nullif(trim(explained.sync_error), '') is not null then 'failed with message'
        when lower(explained.sync_status) like '%reject%' then 'rejected by accounting'
        when explained.vendor_exception is not null then 'vendor unlinked'
        when nullif(trim(explained.linked_id), '') is null and id_columns.stored_count > 0 then 'never synced'
        else 'unknown'
    end as cause,
    coalesce(explained.vendor_exception, explained.commitment_exception) as explained_by,
    explained.kind,
    explained.number,
    explained.title,
    explained.contract_id,
    explained.contract_number,
    explained.vendor_id,
    explained.amount,
    explained.approved_at,
    explained.approved_at_basis,
    case
        when to_unixtime(clock.observed_at) -
            to_unixtime(coalesce(explained.approved_at, explained.updated_at, explained.created_at))
            <= setting_integer('change_order_days') * 86400 then
            'last ' || cast(setting_integer('change_order_days') as varchar) || ' days'
        else 'older'
    end as "window",
    explained.linked_id as stored_erp_id,
    explained.sync_status,
    explained.sync_error,
    case when explained.is_untold then 'not_applicable' end as verdict
from explained
left join pm.projects on projects.record_id = explained.project_id
cross join id_columns
cross join meta.clock
