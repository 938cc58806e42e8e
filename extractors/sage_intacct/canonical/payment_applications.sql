-- title: Sage Intacct payment details
-- grain: one posted, unvoided payment on one document, over all of its lines
-- Only those that have paid, so that a sum is what was paid. What adjustments and advances settle is no payment.

with applied as (

    select 'AP' as ledger, details.payment, payments.currency, payments.modified_date_time,
        coalesce(concat('bill|', nullif(trim(details.bill), '')), '') as invoice_id, details.amount, details.discount_amount
    from source.ap_payment_details as details
    inner join source.ap_payments as payments on payments.key = details.payment
    where nullif(trim(details.bill), '') is not null and
        lower(trim(payments.status)) in ('posted', 'complete', 'completed', 'confirmed', 'cleared', 'c')

    union all

    select 'AP', details.payment, payments.currency, payments.modified_date_time,
        concat('adjustment|', trim(details.adjustment)), details.amount, details.discount_amount
    from source.ap_payment_details as details
    inner join source.ap_payments as payments on payments.key = details.payment
    where nullif(trim(details.bill), '') is null and nullif(trim(details.adjustment), '') is not null and
        lower(trim(payments.status)) in ('posted', 'complete', 'completed', 'confirmed', 'cleared', 'c')

    union all

    select 'AR', details.payment, payments.currency, payments.modified_date_time,
        concat('invoice|', trim(details.invoice)), details.amount, cast(null as decimal(24, 6))
    from source.ar_payment_details as details
    inner join source.ar_payments as payments on payments.key = details.payment
    where nullif(trim(details.invoice), '') is not null and
        lower(trim(payments.status)) in ('posted', 'paid', 'complete', 'completed', 'confirmed', 'cleared', 'c')

)

select
    concat(ledger, '|', payment, '/', invoice_id) as record_id,
    max(modified_date_time) as updated_at,
    concat(ledger, '|', payment) as payment_id,
    invoice_id,
    sum(amount) as amount,
    sum(discount_amount) as discount,
    min(nullif(trim(currency), '')) as currency
from applied
where coalesce(amount, cast(0 as decimal(24, 6))) <> 0 or coalesce(discount_amount, cast(0 as decimal(24, 6))) <> 0
group by ledger, payment, invoice_id
