-- title: Which invoices Sage 300 CRE's payments pay
-- grain: one payment on one invoice, and one more for what it pays of what was retained there

with applied as (

    select
        upper(trim(vendor)) as vendor, concat(upper(trim(vendor)), '|', upper(trim(invoice))) as invoice_id,
        regexp_replace(trim(payment_id), '\.0+$', '') as payment_id,
        round_half_even(amount_paid, 2) as amount, coalesce(round_half_even(retainage_paid, 2), 0) as retainage,
        discount_taken, currency
    from source.invoice_payments

)

select
    concat(invoice_id, '|', payment_id) as record_id,
    concat(vendor, '|', payment_id) as payment_id,
    invoice_id,
    cast(amount - retainage as decimal(18, 2)) as amount,
    discount_taken as discount,
    currency
from applied

union all

select
    concat(invoice_id, '|', payment_id, '|retainage') as record_id,
    concat(vendor, '|', payment_id) as payment_id,
    concat(invoice_id, '|retainage') as invoice_id,
    cast(retainage as decimal(18, 2)) as amount,
    cast(0 as decimal(24, 6)) as discount,
    currency
from applied
where retainage <> 0
