-- title: Payments of Sage 300 CRE to vendors
-- grain: one payment to one vendor; a void is none of its own
-- A payment's day stands on its postings; where these are not there, on the day of its entry. A void takes back what it voids, by rows of
-- the same payment, or by a payment of its own under the check's number: either makes the payment void.
--   payment 24, check 20021 over 900.00; payment 900024, Void check 20021 over −900.00 → payment 24, void.

with told as (

    select
        upper(trim(vendor)) as vendor, regexp_replace(trim(payment_id), '\.0+$', '') as payment_id,
        upper(trim(bank_account)) as bank_account, nullif(regexp_replace(trim("check"), '\.0+$', ''), '0') as check_number,
        nullif(trim(payment_type), '') as payment_type, round_half_even(amount_paid, 2) as amount,
        nullif(date_stamp, date '1900-01-01') as entered_on, currency
    from source.invoice_payments

),

posted as (

    select
        upper(trim(vendor)) as vendor, regexp_replace(trim(payment_id), '\.0+$', '') as payment_id,
        max(nullif(accounting_date, date '1900-01-01')) as posted_on
    from source.ap_transactions
    where nullif(regexp_replace(trim(payment_id), '\.0+$', ''), '0') <> ''
    group by upper(trim(vendor)), regexp_replace(trim(payment_id), '\.0+$', '')

),

paid as (

    select
        told.vendor, told.payment_id, min(told.bank_account) as bank_account, min(nullif(told.check_number, '')) as check_number,
        min(told.payment_type) as payment_type, cast(sum(told.amount) as decimal(18, 2)) as amount,
        cast(sum(case when told.amount > 0 then told.amount else 0 end) as decimal(18, 2)) as paid_amount,
        bool_or(coalesce(lower(told.payment_type), '') like '%void%') as has_void,
        coalesce(max(posted.posted_on), max(told.entered_on)) as paid_on, min(told.currency) as currency
    from told
    left join posted on told.vendor = posted.vendor and told.payment_id = posted.payment_id
    group by told.vendor, told.payment_id

),

-- Takes back more than it pays, and says that it voids.
voids as (

    select vendor, bank_account, check_number, cast(-sum(amount) as decimal(18, 2)) as amount, max(paid_on) as voided_on
    from paid
    where has_void and amount < 0 and check_number is not null
    group by vendor, bank_account, check_number

),

judged as (

    select
        paid.*,
        voids.check_number is not null or (paid.has_void and paid.amount = 0) as is_void,
        coalesce(voids.voided_on, case when paid.has_void then paid.paid_on end) as voided_on
    from paid
    left join voids on
        voids.vendor = paid.vendor and
        voids.bank_account = paid.bank_account and
        voids.check_number = paid.check_number and
        voids.amount = paid.amount
    where not (paid.has_void and paid.amount < 0)

)

select
    concat(vendor, '|', payment_id) as record_id,
    'disbursement' as direction,
    check_number as number,
    payment_type as method,
    paid_on as payment_date,
    case when is_void then paid_amount else amount end as amount,
    vendor as vendor_id,
    case when is_void then 'void' else 'paid' end as status,
    case when is_void then end_of_day(voided_on) end as voided_at,
    currency
from judged
