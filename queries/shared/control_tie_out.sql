-- title:    Controls that do not tie
-- What T1, T2 and T3 have in common: both sides of the comparison are the ERP's, the subledger rebuilt from documents, and the ledger.

select
    control,
    replace(control, '_', ' ') as label,
    ' come to ' || cast(document_amount as varchar) || ' by document and to ' || cast(ledger_amount as varchar) || ' in the control accounts' as told,
    cast(document_amount as varchar) as erp_value,
    cast(abs(document_amount - ledger_amount) as decimal(18,2)) as amount_at_risk,
    document_amount,
    ledger_amount,
    cast(document_amount - ledger_amount as decimal(18,2)) as difference,
    document_count,
    account_count
from link.control_balances
where abs(document_amount - ledger_amount) > setting_decimal('amount_tolerance')
