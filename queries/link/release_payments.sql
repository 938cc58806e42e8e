-- title:    PM payments of releases of retainage that only the ERP bills
-- question: Which PM payments that name no invoice pay what PM has no invoice for?
-- grain:    one row per PM payment
-- columns:
--   payment_id         PM's record id of the payment
--   commitment_id      PM's record id of the commitment whose retainage is released
--   amount             paid in PM

select
    payments.record_id as payment_id,
    min(commitments.pm_id) as commitment_id,
    min(payments.amount) as amount
from pm.payments
inner join link.payments as links on links.pm_id = payments.record_id
-- One check often pays several bills: the amount tells which of them the PM payment mirrors.
inner join erp.payment_applications as applications on
    applications.payment_id = links.erp_id and
    applications.amount = payments.amount
inner join erp.vendor_invoices as bills on
    bills.record_id = applications.invoice_id and
    bills.kind = 'retainage_release'
inner join link.commitments as commitments on
    commitments.erp_id = bills.commitment_id and
    coalesce(payments.contract_id, commitments.pm_id) = commitments.pm_id
left anti join link.vendor_invoices as billed on billed.erp_id = bills.record_id
left anti join pm.payment_applications as named on named.payment_id = payments.record_id and named.invoice_id is not null
where
    payments.voided_at is null and
    coalesce(payments.status, 'paid') = 'paid'
group by payments.record_id
