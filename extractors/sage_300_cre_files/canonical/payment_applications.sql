-- title: Which invoices Sage 300 CRE's payments pay
-- grain: one payment on one invoice

select
    concat(upper(trim(vendor)), '|', upper(trim(invoice)), '|', regexp_replace(trim(payment_id), '\.0+$', '')) as record_id,
    concat(upper(trim(vendor)), '|', regexp_replace(trim(payment_id), '\.0+$', '')) as payment_id,
    concat(upper(trim(vendor)), '|', upper(trim(invoice))) as invoice_id,
    amount_paid as amount,
    discount_taken as discount,
    currency
from source.invoice_payments
