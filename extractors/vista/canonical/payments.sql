-- title: Vista checks and receipts
-- grain: one check, transfer or receipt
-- A check over nothing only sets credits against invoices: none. Miscellaneous cash belongs to no customer: none. When a check was voided
-- is not told.

select
    concat('AP|', key_id) as record_id,
    'disbursement' as direction,
    trim(cm_ref) as number,
    case upper(trim(pay_method)) when 'C' then 'check' when 'E' then 'eft' when 'S' then 'credit service' else trim(pay_method) end as method,
    paid_date as payment_date,
    amount,
    concat(vendor_group, '|', vendor) as vendor_id,
    cast(null as varchar) as customer_id,
    case when upper(trim(void_yn)) = 'Y' then 'void' else 'paid' end as status
from source.ap_payments
where amount <> 0 or upper(trim(void_yn)) = 'Y'

union all

select
    concat('AR|', key_id) as record_id,
    'receipt' as direction,
    coalesce(nullif(trim(check_no), ''), cast(ar_trans as varchar)) as number,
    cast(null as varchar) as method,
    coalesce(check_date, trans_date) as payment_date,
    credit_amt as amount,
    cast(null as varchar) as vendor_id,
    concat(cust_group, '|', customer) as customer_id,
    'paid' as status
from source.ar_transactions
where upper(trim(ar_trans_type)) = 'P'
