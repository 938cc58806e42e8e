-- title:    Subledgers of the ERP and their control accounts
-- question: What do the ERP's documents, and its ledger, say of payables, receivables and retainage at the accounting date?
-- grain:    one row per connection and control (ap, ar, retainage_payable, retainage_receivable) that has accounts or something open
-- columns:
--   source             the ERP connection: each keeps books of its own
--   control            ap, ar, retainage_payable or retainage_receivable
--   document_amount    open documents less payments that are not applied; retainage apart
--   document_count     documents behind it
--   ledger_amount      balance of the control accounts, positive as owed; null where nobody says which they are
--   account_count      control accounts
--   unposted_amount    on these accounts in batches that are not posted, positive as owed
--   unposted_batches   those batches
--   currency           of the ledger

select * from link.payable_balances
union all
select * from link.receivable_balances
