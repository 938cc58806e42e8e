-- title: Acumatica trial balance
-- grain: one account in one period, ledger and branch, over all subaccounts
-- Debits are positive: closing = opening + debit − credit for every account. Acumatica shows credit balances of liabilities and income as
-- positive unless the ledger is set up to reverse that: which it is shows where such an account moved.
--   20000 (liability): beginning 100.00, debit 30.00, credit 50.00, ending 120.00 → opening −100.00, closing −120.00.
-- Periods that are not open yet are left out: what they show moves with every entry before them, and is read once.

with rows as (

    select
        trim(balances.financial_period_id) as period,
        nullif(trim(balances.ledger), '') as ledger,
        nullif(trim(balances.branch), '') as branch,
        trim(balances.account) as account,
        coalesce(lower(trim(balances.type)) in ('liability', 'income'), false) as is_credit,
        balances.beginning_balance, balances.debit_total, balances.credit_total, balances.ending_balance,
        nullif(trim(balances.currency_id), '') as currency
    from source.trial_balance_rows as balances
    inner join source.financial_periods as periods on balances.financial_period_id = periods.financial_period_id
    where coalesce(lower(trim(periods.status)), '') <> 'inactive'

),

shown as (

    select coalesce(bool_or(ending_balance = beginning_balance + debit_total - credit_total), false) as is_reversed
    from rows
    where is_credit and debit_total <> credit_total

),

signed as (

    select
        rows.*,
        case when rows.is_credit and not shown.is_reversed then cast(-1 as decimal(1, 0)) else cast(1 as decimal(1, 0)) end as sign
    from rows
    cross join shown

)

select
    concat(period, '|', coalesce(ledger, ''), '|', coalesce(branch, ''), '|', account) as record_id,
    account,
    period,
    ledger,
    branch,
    sum(beginning_balance * sign) as opening,
    sum(debit_total) as debit,
    sum(credit_total) as credit,
    sum(ending_balance * sign) as closing,
    min(currency) as currency
from signed
group by period, ledger, branch, account
