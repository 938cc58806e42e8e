-- title: Sage Intacct chart of accounts
-- grain: one account
-- An account is of the balance sheet or of the income statement, and normally in debit or credit: asset, liability (equity too), income or
-- expense. Which accounts payables and receivables are booked on it says itself; what is retained stands on the account that released
-- retainage is booked against (payables) or that an invoice's lines name (receivables).
-- The account group is the standard cost type that posts to it, if that is one alone.

with types as (

    select trim(account) as account, case when min(trim(id)) = max(trim(id)) then min(trim(id)) end as cost_type
    from source.standard_cost_types
    where nullif(trim(account), '') is not null
    group by 1

),

releases as (

    select trim(lines.account) as account, 'retainage_payable' as control
    from source.bill_lines as lines
    inner join source.ap_retainage_releases as releases on releases.released_bill = lines.bill

    union

    select trim(offset_account) as account, 'retainage_receivable' as control
    from source.invoice_lines
    where nullif(trim(offset_account), '') is not null

),

retained as (

    select account, case when min(control) = max(control) then min(control) end as control from releases group by account

),

accounts as (

    select *,
        trim(id) as account,
        lower(trim(account_type)) = 'balancesheet' as is_balance,
        lower(trim(normal_balance)) = 'debit' as is_debit,
        lower(trim(alternative)) as controls
    from source.accounts

),

told as (

    select count(*) filter (where controls in ('payablesaccount', 'receivablesaccount')) > 0 as are_told from accounts

)

select
    accounts.account as record_id,
    accounts.created_date_time as created_at,
    accounts.modified_date_time as updated_at,
    accounts.account,
    trim(accounts.name) as name,
    case
        when accounts.is_balance and accounts.is_debit then 'asset'
        when accounts.is_balance then 'liability'
        when accounts.is_debit then 'expense'
        when accounts.account_type is not null then 'income'
    end as type,
    case when accounts.is_debit then 'debit' when accounts.normal_balance is not null then 'credit' end as normal_balance,
    types.cost_type as account_group,
    case
        when accounts.is_balance and retained.control is not null then retained.control
        when accounts.controls = 'payablesaccount' then 'ap'
        when accounts.controls = 'receivablesaccount' then 'ar'
        when told.are_told then 'none'
    end as control_of
from accounts
cross join told
left join types on types.account = accounts.account and not accounts.is_balance
left join retained on retained.account = accounts.account
