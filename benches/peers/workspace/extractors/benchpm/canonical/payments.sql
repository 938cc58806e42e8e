-- title: Payments that project management was told of
-- grain: one payment of one invoice
select
    _key as record_id,
    updated_at,
    'disbursement' as direction,
    method,
    paid_on as payment_date,
    amount,
    'paid' as status
from source.pm_payments
