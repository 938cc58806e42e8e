-- title:    Paid on both sides, by other amounts
-- check:    P2
-- entity:   payments
-- scope:    project
-- missing_on: pm
-- record_owner: erp
-- fix_side: erp
-- version:  3
-- risk:     the difference without its sign; 0 where currencies differ
-- question: Which invoices have both sides paid, but not the same amount?
-- grain:    one row per linked group; one per commitment where PM payments name no invoice
-- grace:    48 hours
-- parameters: amount_tolerance = 0.01
-- requires: erp.vendor_invoices.paid_amount
-- stands_in: erp.vendor_invoices.paid_amount
-- fix:      Find the payment behind the difference; PM follows the ERP.
-- columns:
--   unit_id            what is compared as one
--   label              number in PM
--   vendor_id          PM's record id of the vendor
--   commitment_id      PM's record id of the commitment
--   invoice_count      PM invoices in it
--   pm_paid_amount     paid in PM, without payments that the ERP voided since (P3)
--   erp_paid_amount    paid in the ERP by released, unvoided payments, without invoices that PM shows no payment on (P1)
--   erp_paid_at        the ERP's last payment
--   difference         PM minus ERP

with shown as (

    -- A commitment's payments that name no invoice are one comparison; what P1 tells of its invoices is told there.
    select
        comparisons.*,
        comparisons.pm_paid_amount - comparisons.voided_amount as pm_paid,
        comparisons.erp_paid_amount - comparisons.unreflected_amount as erp_paid
    from link.payment_comparisons as comparisons

),

compared as (

    select shown.*, pm_paid - erp_paid as gap
    from shown
    where
        pm_paid > setting_decimal('amount_tolerance') and
        erp_paid > setting_decimal('amount_tolerance') and
        abs(pm_paid - erp_paid) > setting_decimal('amount_tolerance')

)

select
    'P2:' || compared.unit_id as exception_key,
    compared.project_id,
    projects.number as project_number,
    compared.pm_id,
    compared.erp_id,
    coalesce(compared.label, compared.unit_id) as label,
    case when compared.unit_id like 'commitment:%' then 'the commitment of vendor invoice ' else 'vendor invoice ' end ||
        coalesce(compared.label, compared.unit_id) || ' is paid ' || cast(compared.pm_paid as varchar) || ' in PM and ' ||
        cast(compared.erp_paid as varchar) || ' in the ERP' as detail,
    cast(compared.pm_paid as varchar) as pm_value,
    cast(compared.erp_paid as varchar) as erp_value,
    cast(case when compared.currency_differs then 0 else abs(compared.gap) end as decimal(18,2)) as amount_at_risk,
    coalesce(compared.currency, setting_text('currency')) as currency,
    -- The payment that one side shows more of may be on its way.
    case when compared.gap < 0 then end_of_day(cast(compared.erp_paid_at as date)) else compared.pm_paid_at end as occurred_at,
    case when compared.currency_differs then 'currency_differs' when compared.gap < 0 then 'partial payment' else 'unknown' end as cause,
    case when compared.currency_differs and compared.unit_id not like 'commitment:%' then 'I4:' || compared.unit_id || ':currency' end as explained_by,
    compared.unit_id,
    compared.vendor_id,
    compared.commitment_id,
    compared.invoice_count,
    cast(compared.pm_paid as decimal(18,2)) as pm_paid_amount,
    cast(compared.erp_paid as decimal(18,2)) as erp_paid_amount,
    compared.erp_paid_at,
    cast(case when not compared.currency_differs then compared.gap end as decimal(18,2)) as difference
from compared
left join pm.projects on projects.record_id = compared.project_id
