-- title:    Payables of the ERP and their control accounts
-- question: What do the ERP's documents, and its ledger, say of payables and of what is retained on them at the accounting date?
-- grain:    one row per connection and control (ap, retainage_payable) that has accounts or something open
-- columns:
--   source             the ERP connection: each keeps books of its own
--   control            ap or retainage_payable
--   document_amount    open documents less payments that are not applied; retainage apart
--   document_count     documents behind it
--   ledger_amount      balance of the control accounts, positive as owed; null where nobody says which they are
--   account_count      control accounts
--   unposted_amount    on these accounts in batches that are not posted, positive as owed
--   unposted_batches   those batches
--   currency           of the ledger

with documents as (

    select source, 'ap' as control, net_amount + coalesce(tax_amount, 0) - coalesce(paid_amount, 0) as amount, invoice_date as dated
    from erp.vendor_invoices
    where approval_status in ('approved', 'closed')

    union all

    select source, 'retainage_payable' as control, retainage_amount as amount, invoice_date as dated
    from erp.vendor_invoices
    where approval_status in ('approved', 'closed')

    union all

    select effects.source, effects.control, effects.amount, effects.dated
    from shared.payment_effects as effects
    left join erp.vendor_invoices as invoices on invoices.record_id = effects.invoice_id and (invoices.source is not distinct from effects.source)
    cross join meta.clock
    where effects.control = 'ap' and coalesce(invoices.invoice_date, clock.accounting_date) <= clock.accounting_date

),

open_documents as (

    select documents.source, documents.control, sum(coalesce(documents.amount, 0)) as amount, count(*) as document_count
    from documents
    cross join meta.clock
    where documents.dated is null or documents.dated <= clock.accounting_date
    group by documents.source, documents.control

),

ledgers as (

    select * from shared.control_ledgers where control in ('ap', 'retainage_payable')

)

select
    coalesce(ledgers.source, open_documents.source) as source,
    coalesce(ledgers.control, open_documents.control) as control,
    cast(coalesce(open_documents.amount, 0) as decimal(18,2)) as document_amount,
    coalesce(open_documents.document_count, 0) as document_count,
    cast(ledgers.ledger_amount as decimal(18,2)) as ledger_amount,
    coalesce(ledgers.account_count, 0) as account_count,
    cast(ledgers.unposted_amount as decimal(18,2)) as unposted_amount,
    ledgers.unposted_batches,
    coalesce(ledgers.currency, setting_text('currency')) as currency
from ledgers
full outer join open_documents on
    open_documents.control = ledgers.control and
    (open_documents.source is not distinct from ledgers.source)
where ledgers.control is not null or open_documents.amount <> 0
