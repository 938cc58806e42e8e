-- title:    Payments that the ERP voided and PM still calls paid
-- question: Which money does PM show as paid that never left?
-- grain:    one row per PM payment
-- columns:
--   pm_id              PM's record id of the payment
--   erp_id             the ERP's
--   number             check number
--   vendor_id          PM's record id of the vendor paid
--   invoice_id         PM invoice that the payment names; null = none
--   project_id         PM's record id of that invoice's project
--   direction          disbursement or receipt
--   amount             paid in PM
--   currency           of the amount
--   voided_at          when the ERP voided it, UTC

with applied as (

    select payment_id, min(invoice_id) as invoice_id
    from pm.payment_applications
    group by payment_id

),

-- A check that was voided and issued anew under another number is linked to the void one alone; where one number stands for a void
-- and a living check, nothing is void.
voided as (

    select links.pm_id, min(links.erp_id) as erp_id, max(erp_side.voided_at) as voided_at
    from link.payments as links
    inner join erp.payments as erp_side on erp_side.record_id = links.erp_id
    group by links.pm_id
    having count(case when erp_side.status <> 'void' or erp_side.status is null then 1 end) = 0

)

select
    payments.record_id as pm_id,
    voided.erp_id,
    payments.number,
    payments.vendor_id,
    applied.invoice_id,
    coalesce(vendor_invoices.project_id, owner_invoices.project_id) as project_id,
    payments.direction,
    payments.amount,
    payments.currency,
    voided.voided_at
from voided
inner join pm.payments on payments.record_id = voided.pm_id
left join applied on applied.payment_id = payments.record_id
left join pm.vendor_invoices on vendor_invoices.record_id = applied.invoice_id
left join pm.owner_invoices on owner_invoices.record_id = applied.invoice_id
where coalesce(payments.status, 'paid') = 'paid' and payments.voided_at is null
