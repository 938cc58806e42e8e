-- title: What bills say of their payment, as exported
-- grain: one bill that is paid
-- Payments are not exported: a paid bill tells its date and its check.

with paid as (

    select
        job, vendor, bill_number, min(nullif(trim(po_number), '')) as po_number, sum(amount) as amount,
        max(paid_date) as paid_date, min(nullif(trim(check_number), '')) as check_number,
        min(nullif(trim(payment_method), '')) as payment_method, min(currency) as currency
    from source.bills
    where lower(trim(status)) = 'paid'
    group by job, vendor, bill_number

)

select
    concat(job, '|', vendor, '|', bill_number) as record_id,
    'disbursement' as direction,
    check_number as number,
    payment_method as method,
    paid_date as payment_date,
    amount,
    nullif(trim(vendor), '') as vendor_id,
    case when po_number is not null then concat(job, '|', po_number) end as contract_id,
    'paid' as status,
    currency
from paid
