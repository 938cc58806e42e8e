-- title: What project management's payments pay
-- grain: one payment of one invoice
select
    _key as record_id,
    updated_at,
    _key as payment_id,
    cast(invoice_id as varchar) as invoice_id,
    amount
from source.pm_payments
