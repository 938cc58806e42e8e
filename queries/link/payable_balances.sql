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

with documents as (

    select 'ap' as control, net_amount + coalesce(tax_amount, 0) - coalesce(paid_amount, 0) as amount, invoice_date as dated
    from erp.vendor_invoices
    where approval_status in ('approved', 'closed')

    union all

    select 'retainage_payable' as control, retainage_amount as amount, invoice_date as dated
    from erp.vendor_invoices
    where approval_status in ('approved', 'closed')

    union all

    select effects.control, effects.amount, effects.dated
    from shared.payment_effects as effects
    left join erp.vendor_invoices as invoices on invoices.record_id = effects.invoice_id and (invoices.source is not distinct from effects.source)
    cross join meta.clock
    where effects.control = 'ap' and coalesce(invoices.invoice_date, clock.accounting_date) <= clock.accounting_date

),

open_documents as (

    select documents.control, sum(coalesce(documents.amount, 0)) as amount, count(*) as document_count
    from documents
    cross join meta.clock
    where documents.dated is null or documents.dated <= clock.accounting_date
    group by documents.control

),

-- Several connections are one firm's books here.
ledgers as (

    select control, sum(account_count) as account_count, sum(ledger_amount) as ledger_amount, sum(unposted_amount) as unposted_amount,
        string_agg(unposted_batches, ', ' order by unposted_batches) as unposted_batches
    from shared.control_ledgers
    where control in ('ap', 'retainage_payable')
    group by control

)

select
    ledgers.control,
    cast(coalesce(open_documents.amount, 0) as decimal(18,2)) as document_amount,
    coalesce(open_documents.document_count, 0) as document_count,
    cast(ledgers.ledger_amount as decimal(18,2)) as ledger_amount,
    ledgers.account_count,
    cast(ledgers.unposted_amount as decimal(18,2)) as unposted_amount,
    ledgers.unposted_batches
from ledgers
left join open_documents on open_documents.control = ledgers.control
