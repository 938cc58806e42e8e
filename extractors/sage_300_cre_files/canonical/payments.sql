-- title: Payments of Sage 300 CRE to vendors
-- grain: one payment to one vendor
-- A payment's day stands on its postings; where these are not there, on the day of its entry. Rows of a void take back what they void.

with paid as (

    select
        upper(trim(vendor)) as vendor, regexp_replace(trim(payment_id), '\.0+$', '') as payment_id, sum(amount_paid) as amount,
        min(nullif(trim(payment_type), '')) as payment_type, min(nullif(regexp_replace(trim("check"), '\.0+$', ''), '0')) as check_number,
        max(nullif(date_stamp, date '1900-01-01')) as entered_on, bool_or(lower(payment_type) like '%void%') as is_void,
        min(currency) as currency
    from source.invoice_payments
    group by upper(trim(vendor)), regexp_replace(trim(payment_id), '\.0+$', '')

),

posted as (

    select
        upper(trim(vendor)) as vendor, regexp_replace(trim(payment_id), '\.0+$', '') as payment_id,
        min(nullif(accounting_date, date '1900-01-01')) as posted_on
    from source.ap_transactions
    where nullif(regexp_replace(trim(payment_id), '\.0+$', ''), '0') <> ''
    group by upper(trim(vendor)), regexp_replace(trim(payment_id), '\.0+$', '')

)

select
    concat(paid.vendor, '|', paid.payment_id) as record_id,
    'disbursement' as direction,
    nullif(paid.check_number, '') as number,
    paid.payment_type as method,
    coalesce(posted.posted_on, paid.entered_on) as payment_date,
    paid.amount,
    paid.vendor as vendor_id,
    case when paid.is_void then 'void' else 'paid' end as status,
    paid.currency
from paid
left join posted on paid.vendor = posted.vendor and paid.payment_id = posted.payment_id
