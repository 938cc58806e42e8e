-- title:    Vendor invoices approved in PM with no ERP bill
-- check:    I2
-- entity:   vendor_invoices
-- scope:    project
-- missing_on: erp
-- record_owner: pm
-- fix_side: pm
-- version:  1
-- risk:     the net amount of the invoice's period, without its sign
-- question: Which approved pay applications will nobody pay, because accounts payable never got them?
-- grain:    one row per PM vendor invoice
-- grace:    24 hours
-- parameters: connector_profile
-- requires: erp.vendor_invoices
-- fix:      Procore: ERP Integrations > Ready to Export / Failed to Export; else enter the bill in the ERP.
-- columns:
--   number             the number people use
--   kind               progress, retainage_release, credit or prepayment
--   vendor_id          PM's record id of the vendor
--   commitment_id      PM's record id of the commitment
--   period_end         last day billed
--   approved_at        when PM approved it, UTC
--   gross_amount       this period: work and stored materials
--   net_amount         this period: gross less retainage
--   stored_erp_id      the ERP id that PM stores, if any
--   sync_status        what the integration tool says
--   sync_error         its message

-- An application over nothing is nothing to pay. Procore Edge for Acumatica never sends a release of retainage.
with missing as (

    select invoices.*
    from pm.vendor_invoices as invoices
    left anti join link.vendor_invoices as links on links.pm_id = invoices.record_id
    where
        invoices.approval_status in ('approved', 'closed') and
        (coalesce(invoices.gross_amount, 1) <> 0 or coalesce(invoices.net_amount, 1) <> 0) and
        not (coalesce(invoices.kind, 'progress') = 'retainage_release' and setting_text('connector_profile') = 'procore-acumatica-edge')

),

-- More than one bill may be meant: R2 says which.
ambiguous as (

    select vendor_id, number_key, count(*) as candidates
    from erp.vendor_invoices
    where coalesce(approval_status, 'pending') not in ('void', 'rejected')
    group by vendor_id, number_key
    having count(*) > 1

),

linked_vendors as (

    select pm_id, min(erp_id) as erp_id from link.vendors group by pm_id

),

linked_commitments as (

    select distinct pm_id from link.commitments

)

select
    'I2:' || missing.record_id as exception_key,
    missing.project_id,
    projects.number as project_number,
    missing.record_id as pm_id,
    cast(null as varchar) as erp_id,
    coalesce(missing.number, missing.record_id) as label,
    'vendor invoice ' || coalesce(missing.number, missing.record_id) || ' over ' || coalesce(cast(missing.net_amount as varchar), 'no amount') ||
        ' is approved in PM and not in the ERP' as detail,
    cast(missing.net_amount as varchar) as pm_value,
    cast(null as varchar) as erp_value,
    cast(abs(coalesce(missing.net_amount, missing.gross_amount)) as decimal(18,2)) as amount_at_risk,
    coalesce(missing.currency, setting_text('currency')) as currency,
    coalesce(missing.approved_at, missing.updated_at, missing.created_at) as occurred_at,
    case
        when nullif(trim(missing.sync_error), '') is not null then 'failed with message'
        when lower(missing.sync_status) like '%reject%' then 'rejected by accounting'
        when missing.vendor_id is not null and linked_vendors.erp_id is null then 'vendor unlinked'
        else 'unknown'
    end as cause,
    case
        when missing.vendor_id is not null and linked_vendors.erp_id is null then 'V1:' || missing.vendor_id
        when missing.commitment_id is not null and linked_commitments.pm_id is null then 'M1:' || missing.commitment_id
        when ambiguous.candidates > 1 then 'R2:vendor_invoices:pm:' || missing.record_id
    end as explained_by,
    missing.number,
    missing.kind,
    missing.vendor_id,
    missing.commitment_id,
    missing.period_end,
    missing.approved_at,
    missing.gross_amount,
    missing.net_amount,
    missing.linked_id as stored_erp_id,
    missing.sync_status,
    missing.sync_error
from missing
left join linked_vendors on linked_vendors.pm_id = missing.vendor_id
left join linked_commitments on linked_commitments.pm_id = missing.commitment_id
left join ambiguous on
    ambiguous.vendor_id = linked_vendors.erp_id and
    ambiguous.number_key = missing.number_key
left join pm.projects on projects.record_id = missing.project_id
