-- title:    Open receivables that do not tie to their control accounts
-- check:    T2
-- entity:   owner_invoices
-- scope:    firm
-- record_owner: erp
-- fix_side: erp
-- version:  1
-- risk:     the difference without its sign
-- question: Which invoices, memos or receipts does only one of subledger and ledger hold?
-- grain:    one row per ERP connection and control that does not tie
-- parameters: amount_tolerance = 0.01, [accounts]
-- requires: accounts.ar, erp.owner_invoices, erp.account_balances, erp.fiscal_periods, erp.gl_transactions
-- optional: erp.unposted_transactions
-- fix:      Compare by document; post or reverse what was entered past the subledger. Unposted batches are not in the ledger yet.
-- columns:
--   source             the ERP connection: each is held against its own ledger
--   control            what the accounts control
--   document_amount    open documents at the accounting date
--   ledger_amount      balance of the control accounts at that date
--   difference         documents less ledger
--   document_count     documents behind it
--   account_count      control accounts
--   unposted_amount    on these accounts in batches that are not posted; where it is the difference, it is the cause
--   unposted_batches   those batches
--   verdict            null; not_applicable where nobody says which accounts control it
--   verdict_scope      project (all of them) where that holds for every ERP connection

-- Opposite differences of two ERPs come to nothing together, so none is held against another's ledger.
with balances as (

    select
        *,
        case when count(*) over (partition by control) > 1 then ' of ' || source else '' end as whose,
        max(account_count) over () as account_count_max
    from link.receivable_balances
    where control = 'ar'

)

select
    'T2:' || key_of(balances.source, balances.control) as exception_key,
    cast(null as varchar) as project_id,
    cast(null as varchar) as project_number,
    cast(null as varchar) as pm_id,
    cast(null as varchar) as erp_id,
    replace(balances.control, '_', ' ') || balances.whose as label,
    case
        when balances.account_count = 0
            then 'neither ' || coalesce(balances.source, 'the ERP') || ' nor [accounts] ' || balances.control || ' says which accounts control it'
        else 'receivables' || balances.whose || ' come to ' || cast(balances.document_amount as varchar) || ' by document and to ' ||
            cast(balances.ledger_amount as varchar) || ' in the control accounts' || coalesce(
                '; ' || cast(balances.unposted_amount as varchar) || ' stands in batches that are not posted: ' || balances.unposted_batches, '')
    end as detail,
    cast(null as varchar) as pm_value,
    cast(balances.document_amount as varchar) as erp_value,
    cast(abs(balances.document_amount - balances.ledger_amount) as decimal(18,2)) as amount_at_risk,
    balances.currency,
    cast(null as timestamp with time zone) as occurred_at,
    case
        when abs(balances.document_amount - balances.ledger_amount - balances.unposted_amount) <= setting_decimal('amount_tolerance')
            then 'unposted batch'
        else 'unknown'
    end as cause,
    cast(null as varchar) as explained_by,
    balances.source,
    balances.control,
    balances.document_amount,
    balances.ledger_amount,
    cast(balances.document_amount - balances.ledger_amount as decimal(18,2)) as difference,
    balances.document_count,
    balances.account_count,
    balances.unposted_amount,
    balances.unposted_batches,
    case when balances.account_count = 0 then 'not_applicable' end as verdict,
    case when balances.account_count_max = 0 then 'project' end as verdict_scope
from balances
where
    abs(balances.document_amount - balances.ledger_amount) > setting_decimal('amount_tolerance') or
    balances.account_count = 0 and balances.document_amount <> 0
