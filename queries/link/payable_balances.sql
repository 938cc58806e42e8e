-- title:    Payables of the ERP and their control accounts
-- question: What do the ERP's documents, and its ledger, say of payables and of what is retained on them at the accounting date?
-- grain:    one row per control (ap, retainage_payable) that has accounts
-- columns:
--   control            ap or retainage_payable
--   document_amount    open documents less payments that are not applied; retainage apart
--   document_count     documents behind it
--   ledger_amount      balance of the control accounts, positive as owed
--   account_count      control accounts
--   unposted_amount    on these accounts in batches that are not posted, positive as owed
--   unposted_batches   those batches

with applied as (

    select payments.payment_date, applications.amount
    from erp.payment_applications as applications
    inner join erp.payments on payments.record_id = applications.payment_id
    left join erp.vendor_invoices as documents on documents.record_id = applications.invoice_id
    cross join meta.clock
    where
        payments.direction = 'disbursement' and
        payments.status = 'paid' and
        coalesce(documents.invoice_date, clock.accounting_date) <= clock.accounting_date

),

documents as (

    select 'ap' as control, net_amount + coalesce(tax_amount, 0) - coalesce(paid_amount, 0) as amount, invoice_date as dated
    from erp.vendor_invoices
    where approval_status in ('approved', 'closed')

    union all

    select 'retainage_payable' as control, retainage_amount as amount, invoice_date as dated
    from erp.vendor_invoices
    where approval_status in ('approved', 'closed')

    union all

    select 'ap' as control, -amount as amount, payment_date as dated
    from erp.payments
    where direction = 'disbursement' and status = 'paid'

    union all

    -- What a payment settles is taken off its invoice already; one applied later, or to a later invoice, is still unapplied at the date.
    select 'ap' as control, amount, payment_date as dated
    from applied

    union all

    -- A discount that a payment took settles its part of the invoice without money.
    select 'ap' as control, -applications.discount as amount, payments.payment_date as dated
    from erp.payment_applications as applications
    inner join erp.payments on payments.record_id = applications.payment_id
    where payments.direction = 'disbursement' and payments.status = 'paid' and applications.discount <> 0

    union all

    -- Paid after the accounting date: open at it.
    select 'ap' as control, applied.amount, cast(null as date) as dated
    from applied
    cross join meta.clock
    where applied.payment_date > clock.accounting_date

),

open_documents as (

    select documents.control, sum(coalesce(documents.amount, 0)) as amount, count(*) as document_count
    from documents
    cross join meta.clock
    where documents.dated is null or documents.dated <= clock.accounting_date
    group by documents.control

)

select
    ledgers.control,
    cast(coalesce(open_documents.amount, 0) as decimal(18,2)) as document_amount,
    coalesce(open_documents.document_count, 0) as document_count,
    cast(ledgers.ledger_amount as decimal(18,2)) as ledger_amount,
    ledgers.account_count,
    cast(ledgers.unposted_amount as decimal(18,2)) as unposted_amount,
    ledgers.unposted_batches
from shared.control_ledgers as ledgers
left join open_documents on open_documents.control = ledgers.control
where ledgers.control in ('ap', 'retainage_payable')
