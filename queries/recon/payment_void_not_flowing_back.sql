-- title:    Voided in the ERP, still paid in PM
-- check:    P3
-- entity:   payments
-- scope:    project
-- missing_on: pm
-- record_owner: erp
-- fix_side: erp
-- version:  2
-- risk:     the amount of the payment in PM
-- question: Which payments does PM show that accounting has taken back?
-- grain:    one row per PM payment
-- grace:    48 hours
-- requires: pm.payments.number, erp.payments.voided_at
-- fix:      Delete or void the payment on the PM contract, or run the payment import again.
-- columns:
--   number             check number
--   direction          disbursement or receipt
--   vendor_id          PM's record id of the vendor
--   invoice_id         PM invoice that it names; null = none
--   amount             amount in PM
--   voided_at          when the ERP voided it, UTC

select
    'P3:' || voided.pm_id as exception_key,
    voided.project_id,
    projects.number as project_number,
    voided.pm_id,
    voided.erp_id,
    coalesce(voided.number, voided.pm_id) as label,
    'payment ' || coalesce(voided.number, voided.pm_id) || ' over ' || coalesce(cast(voided.amount as varchar), 'no amount') ||
        ' is paid in PM and void in the ERP' as detail,
    'paid' as pm_value,
    'void' as erp_value,
    cast(abs(voided.amount) as decimal(18,2)) as amount_at_risk,
    coalesce(voided.currency, setting_text('currency')) as currency,
    voided.voided_at as occurred_at,
    'voided check' as cause,
    cast(null as varchar) as explained_by,
    voided.number,
    voided.direction,
    voided.vendor_id,
    voided.invoice_id,
    voided.amount,
    voided.voided_at
from link.voided_payments as voided
left join pm.projects on projects.record_id = voided.project_id
