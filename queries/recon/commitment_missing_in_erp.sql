-- title:    Commitments approved in PM with no ERP record
-- check:    M1
-- entity:   commitments
-- scope:    project
-- missing_on: erp
-- record_owner: pm
-- fix_side: pm
-- version:  1
-- risk:     the revised amount, else the original
-- question: Which subcontracts and purchase orders does accounting not know?
-- grain:    one row per PM commitment
-- grace:    24 hours
-- requires: erp.commitments
-- fix:      Procore: ERP Integrations > Ready to Export / Failed to Export; else enter it in the ERP.
-- columns:
--   kind               subcontract or purchase_order
--   number             the number people use
--   title              title as written
--   vendor_id          PM's record id of the vendor
--   amount             revised, else original
--   approved_at        when PM approved it, UTC
--   stored_erp_id      the ERP id that PM stores, if any
--   sync_error         the integration tool's message

with missing as (

    select commitments.*, coalesce(commitments.revised_amount, commitments.original_amount) as amount
    from pm.commitments as commitments
    left anti join link.commitments as links on links.pm_id = commitments.record_id
    where commitments.approval_status = 'approved'

)

select
    'M1:' || missing.record_id as exception_key,
    missing.project_id,
    projects.number as project_number,
    missing.record_id as pm_id,
    cast(null as varchar) as erp_id,
    coalesce(missing.number, missing.record_id) as label,
    replace(coalesce(missing.kind, 'commitment'), '_', ' ') || ' ' || coalesce(missing.number, missing.record_id) || ' over ' ||
        coalesce(cast(missing.amount as varchar), 'no amount') || ' is approved in PM and not in the ERP' as detail,
    cast(missing.amount as varchar) as pm_value,
    cast(null as varchar) as erp_value,
    cast(abs(missing.amount) as decimal(18,2)) as amount_at_risk,
    coalesce(missing.currency, setting_text('currency')) as currency,
    coalesce(missing.approved_at, missing.updated_at, missing.created_at) as occurred_at,
    case
        when nullif(trim(missing.sync_error), '') is not null then 'failed with message'
        when lower(missing.sync_status) like '%reject%' then 'rejected by accounting'
        when unlinked.pm_id is not null then 'vendor unlinked'
        else 'unknown'
    end as cause,
    coalesce(unlinked.exception_key, case when project_links.pm_id is null then 'J1:' || missing.project_id end) as explained_by,
    missing.kind,
    missing.number,
    missing.title,
    missing.vendor_id,
    missing.amount,
    missing.approved_at,
    missing.linked_id as stored_erp_id,
    missing.sync_error
from missing
left join link.unlinked_vendors as unlinked on unlinked.pm_id = missing.vendor_id
left join (select distinct pm_id from link.projects) as project_links on project_links.pm_id = missing.project_id
left join pm.projects on projects.record_id = missing.project_id
