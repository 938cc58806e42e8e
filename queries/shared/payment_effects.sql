-- title:    What payments do to the balance of open documents at the accounting date
-- grain:    one row per payment, and per discount and application of one; voided payments apart

-- Documents come with what is paid on them until now. A payment that is not applied lowers what is owed.
with applied as (

    select payments.direction, payments.payment_date, applications.source, applications.invoice_id, applications.amount, applications.discount
    from erp.payment_applications as applications
    inner join erp.payments on payments.record_id = applications.payment_id and (payments.source is not distinct from applications.source)
    where payments.status = 'paid'

),

effects as (

    select direction, source, cast(null as varchar) as invoice_id, -amount as amount, payment_date as dated
    from erp.payments
    where status = 'paid'

    union all

    -- What a payment settles is taken off its invoice already; one applied later, or to a later invoice, is still unapplied at the date.
    select direction, source, invoice_id, amount, payment_date as dated
    from applied

    union all

    -- A discount that a payment took settles its part of the invoice without money.
    select direction, source, cast(null as varchar) as invoice_id, -discount as amount, payment_date as dated
    from applied
    where discount <> 0

    union all

    -- Paid after the accounting date: open at it.
    select applied.direction, applied.source, applied.invoice_id, applied.amount, cast(null as date) as dated
    from applied
    cross join meta.clock
    where applied.payment_date > clock.accounting_date

)

select case direction when 'disbursement' then 'ap' else 'ar' end as control, source, invoice_id, amount, dated
from effects
