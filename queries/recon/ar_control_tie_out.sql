-- title:    Open receivables that do not tie to their control accounts
-- check:    T2
-- entity:   owner_invoices
-- scope:    firm
-- record_owner: erp
-- fix_side: erp
-- version:  1
-- risk:     the difference without its sign
-- question: Which invoices, memos or receipts does only one of subledger and ledger hold?
-- grain:    one row per control that does not tie
-- parameters: amount_tolerance = 0.01, [accounts]
-- requires: accounts.ar, erp.owner_invoices, erp.account_balances, erp.fiscal_periods, erp.gl_transactions
-- optional: erp.unposted_transactions
-- fix:      Compare by document; post or reverse what was entered past the subledger. Unposted batches are not in the ledger yet.
-- columns:
--   control            what the accounts control
--   document_amount    open documents at the accounting date
--   ledger_amount      balance of the control accounts at that date
--   difference         documents less ledger
--   document_count     documents behind it
--   account_count      control accounts
--   unposted_amount    on these accounts in batches that are not posted; where it is the difference, it is the cause
--   unposted_batches   those batches

select
    'T2:' || balances.control as exception_key,
    cast(null as varchar) as project_id,
    cast(null as varchar) as project_number,
    cast(null as varchar) as pm_id,
    cast(null as varchar) as erp_id,
    replace(balances.control, '_', ' ') as label,
    'receivables' || ' come to ' || cast(balances.document_amount as varchar) || ' by document and to ' || cast(balances.ledger_amount as varchar) ||
        ' in the control accounts' ||
        coalesce('; ' || cast(balances.unposted_amount as varchar) || ' stands in batches that are not posted: ' || balances.unposted_batches, '')
        as detail,
    cast(null as varchar) as pm_value,
    cast(balances.document_amount as varchar) as erp_value,
    cast(abs(balances.document_amount - balances.ledger_amount) as decimal(18,2)) as amount_at_risk,
    setting_text('currency') as currency,
    cast(null as timestamp with time zone) as occurred_at,
    case
        when abs(balances.document_amount - balances.ledger_amount - balances.unposted_amount) <= setting_decimal('amount_tolerance')
            then 'unposted batch'
        else 'unknown'
    end as cause,
    cast(null as varchar) as explained_by,
    balances.control,
    balances.document_amount,
    balances.ledger_amount,
    cast(balances.document_amount - balances.ledger_amount as decimal(18,2)) as difference,
    balances.document_count,
    balances.account_count,
    balances.unposted_amount,
    balances.unposted_batches
from link.receivable_balances as balances
where
    balances.control = 'ar' and
    abs(balances.document_amount - balances.ledger_amount) > setting_decimal('amount_tolerance')
