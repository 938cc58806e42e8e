-- title: What disbursements pay
-- grain: one payment of one bill
select
    payments._key as record_id,
    payments.updated_at,
    payments._key as payment_id,
    bills._key as invoice_id,
    payments.amount
from source.erp_payments as payments
left join source.erp_ap_invoices as bills on bills.invoice_number = payments.invoice_number
