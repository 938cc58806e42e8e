-- title:    Open payables of the ERP at the accounting date, document by document
-- question: What did the firm owe on each bill by then, whatever was paid since?
-- grain:    one row per released bill, adjustment or prepayment dated by the date, and per payment of which a part was not applied, or that was
--           voided later
-- columns:
--   source             the connection
--   record_id          the ERP's record id of the document or payment
--   kind               progress, retainage_release, credit, prepayment or payment
--   number             the number people use
--   vendor_id          the ERP's record id of the vendor
--   project_id         the ERP's record id of the project; null = none, or several
--   commitment_id      the ERP's record id of the commitment
--   dated              date of the document
--   due_date           as told, else its date and the default terms
--   currency           of the amounts
--   open_amount        net and tax less what was paid by the date and discounts taken with it; payments negative
--   retainage_amount   retained on it; releases negative
--   settled_after      paid on it after the date, as far as it is known
-- The sum is that of link.payable_balances; a payment that was void only after the date had lowered the balance at it, though nobody
-- tells any more which documents it paid. A bill that a credit settled is 0 and so is the credit, if both are dated by the date; the
-- ledger's own balance tells what nothing is left of.
--   bill 100.00 closed, credit −30.00 closed, paid 70.00 → both 0.00, not 30.00 and −30.00 in two buckets.

with clock as (

    select accounting_date from meta.clock

),

applied as (

    select
        applications.source,
        applications.invoice_id,
        sum(case when payments.payment_date > clock.accounting_date then applications.amount else 0 end) as paid_after,
        sum(case when payments.payment_date > clock.accounting_date then 0 else coalesce(applications.discount, 0) end) as discount,
        sum(coalesce(applications.discount, 0)) as discount_until_now
    from erp.payment_applications as applications
    inner join erp.payments on
        payments.record_id = applications.payment_id and
        payments.source = applications.source and
        payments.status = 'paid' and
        payments.direction = 'disbursement'
    cross join clock
    group by applications.source, applications.invoice_id

),

bills as (

    select
        bills.*,
        coalesce(bills.net_amount, 0) + coalesce(bills.tax_amount, 0) - coalesce(bills.paid_amount, 0) + coalesce(applied.paid_after, 0)
            - coalesce(applied.discount, 0) as open_amount,
        coalesce(bills.net_amount, 0) + coalesce(bills.tax_amount, 0) - coalesce(bills.paid_amount, 0) - coalesce(applied.discount_until_now, 0)
            - bills.open_balance as settled_otherwise,
        applied.paid_after
    from erp.vendor_invoices as bills
    left join applied on applied.invoice_id = bills.record_id and applied.source = bills.source
    cross join clock
    where bills.approval_status in ('approved', 'closed') and coalesce(bills.invoice_date <= clock.accounting_date, true)

),

-- What credits settled adds up to nothing within a vendor, unless one of them is dated later.
settled as (

    select *, sum(coalesce(settled_otherwise, 0)) over (partition by source, vendor_id, currency) as unsettled
    from bills

),

unapplied as (

    select applications.source, applications.payment_id, sum(applications.amount) as amount
    from erp.payment_applications as applications
    left join erp.vendor_invoices as bills on bills.record_id = applications.invoice_id and bills.source = applications.source
    cross join clock
    where coalesce(bills.invoice_date <= clock.accounting_date, true)
    group by applications.source, applications.payment_id

)

select source, record_id, coalesce(kind, 'progress') as kind, number, vendor_id, project_id, commitment_id, invoice_date as dated,
    coalesce(due_date, cast(cast(invoice_date as int) + setting_integer('default_terms_days') as date)) as due_date,
    coalesce(currency, setting_text('currency')) as currency,
    cast(open_amount - case when unsettled = 0 then coalesce(settled_otherwise, 0) else 0 end as decimal(18,2)) as open_amount,
    cast(coalesce(retainage_amount, 0) as decimal(18,2)) as retainage_amount, cast(coalesce(paid_after, 0) as decimal(18,2)) as settled_after
from settled

union all

select payments.source, payments.record_id, 'payment' as kind, payments.number, payments.vendor_id, cast(null as varchar) as project_id,
    cast(null as varchar) as commitment_id, payments.payment_date as dated, payments.payment_date as due_date,
    coalesce(payments.currency, setting_text('currency')) as currency,
    cast(case when payments.status = 'paid' then coalesce(unapplied.amount, 0) else 0 end - payments.amount as decimal(18,2)) as open_amount,
    cast(0 as decimal(18,2)) as retainage_amount, cast(0 as decimal(18,2)) as settled_after
from erp.payments
left join unapplied on unapplied.payment_id = payments.record_id and unapplied.source = payments.source
cross join clock
where
    payments.direction = 'disbursement' and coalesce(payments.payment_date <= clock.accounting_date, true) and
    (
        payments.status = 'paid' and coalesce(unapplied.amount, 0) <> payments.amount or
        payments.status = 'void' and firm_day(payments.voided_at) > clock.accounting_date
    )
