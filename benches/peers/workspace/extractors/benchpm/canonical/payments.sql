-- title: Payments that project management was told of
-- grain: one payment of one invoice
select
    payments._key as record_id,
    payments.updated_at,
    'disbursement' as direction,
    payments.reference as number,
    payments.method,
    payments.paid_on as payment_date,
    payments.amount,
    cast(invoices.vendor_id as varchar) as vendor_id,
    cast(invoices.commitment_id as varchar) as contract_id,
    'paid' as status
from source.pm_payments as payments
left join source.pm_sub_invoices as invoices on invoices.invoice_id = payments.invoice_id
