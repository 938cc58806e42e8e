-- title:    Paid in PM with no ERP payment
-- check:    P4
-- entity:   payments
-- scope:    project
-- missing_on: erp
-- record_owner: erp
-- fix_side: pm
-- version:  1
-- risk:     what PM shows as paid
-- question: Which payments were entered in PM and never made?
-- grain:    one row per linked group or unlinked PM invoice; one per commitment where PM payments name no invoice
-- grace:    24 hours
-- parameters: amount_tolerance = 0.01
-- requires: erp.vendor_invoices.paid_amount
-- stands_in: erp.vendor_invoices.paid_amount
-- fix:      Payments are made in the ERP: make it there, or delete it in PM.
-- columns:
--   unit_id            what is compared as one
--   vendor_id          PM's record id of the vendor
--   commitment_id      PM's record id of the commitment
--   pm_paid_amount     paid in PM, without payments that the ERP voided since (P3)
--   erp_document_count bills in the ERP; 0 = the invoice itself never arrived
--   pm_paid_at         PM's last payment, UTC

-- An invoice that the ERP does not have cannot be paid there: I2 and this are two facts, but one amount.
with unpaid as (

    select
        comparisons.*,
        comparisons.pm_paid_amount - comparisons.voided_amount as pm_paid
    from link.payment_comparisons as comparisons
    where
        comparisons.pm_paid_amount - comparisons.voided_amount > setting_decimal('amount_tolerance') and
        comparisons.erp_paid_amount <= setting_decimal('amount_tolerance')

)

select
    'P4:' || unpaid.unit_id as exception_key,
    unpaid.project_id,
    projects.number as project_number,
    unpaid.pm_id,
    unpaid.erp_id,
    coalesce(unpaid.label, unpaid.unit_id) as label,
    case when unpaid.unit_id like 'commitment:%' then 'the commitment of vendor invoice ' else 'vendor invoice ' end ||
        coalesce(unpaid.label, unpaid.unit_id) || ' is paid ' || cast(unpaid.pm_paid as varchar) || ' in PM and not in the ERP' as detail,
    cast(unpaid.pm_paid as varchar) as pm_value,
    '0.00' as erp_value,
    cast(unpaid.pm_paid as decimal(18,2)) as amount_at_risk,
    coalesce(unpaid.currency, setting_text('currency')) as currency,
    unpaid.pm_paid_at as occurred_at,
    'entered on the wrong side' as cause,
    case when unpaid.erp_document_count = 0 and unpaid.unit_id not like 'commitment:%' then 'I2:' || unpaid.pm_id end as explained_by,
    unpaid.unit_id,
    unpaid.vendor_id,
    unpaid.commitment_id,
    cast(unpaid.pm_paid as decimal(18,2)) as pm_paid_amount,
    unpaid.erp_document_count,
    unpaid.pm_paid_at
from unpaid
left join pm.projects on projects.record_id = unpaid.project_id
