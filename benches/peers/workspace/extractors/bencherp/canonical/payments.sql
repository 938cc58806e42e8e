-- title: Disbursements
-- grain: one payment of one bill
select
    _key as record_id,
    updated_at,
    'disbursement' as direction,
    reference as number,
    method,
    payment_date,
    amount,
    vendor_code as vendor_id,
    'paid' as status
from source.erp_payments
