-- title: Acumatica chart of accounts
-- grain: one account
-- The screen says which module an account controls, but not what for: documents tell which account holds retainage.
--   20000 and 20100 both control AP; bills keep retainage on 20100 → ap and retainage_payable.
-- null where nothing tells: the instance names no control account at all. WIP is told by nothing.

with retainage as (

    select trim(retainage_account) as account, 'retainage_payable' as control from source.bills where nullif(trim(retainage_account), '') is not null

    union all

    select trim(retainage_account) as account, 'retainage_receivable' as control from source.invoices where nullif(trim(retainage_account), '') is not null

),

-- An account of both sides controls neither alone.
retained as (

    select account, case when min(control) = max(control) then min(control) end as control from retainage group by account

),

payable as (

    select trim(ap_account) as account from source.vendors where nullif(trim(ap_account), '') is not null group by 1

),

receivable as (

    select trim(link_ar_account) as account from source.invoices where nullif(trim(link_ar_account), '') is not null group by 1

),

modules as (

    select count(nullif(trim(control_account_module), '')) > 0 as are_told from source.accounts

)

select
    trim(accounts.account_cd) as record_id,
    accounts.created_date_time as created_at,
    accounts.last_modified_date_time as updated_at,
    trim(accounts.account_cd) as account,
    trim(accounts.description) as name,
    lower(trim(accounts.type)) as type,
    case when lower(trim(accounts.type)) in ('asset', 'expense') then 'debit' when lower(trim(accounts.type)) in ('liability', 'income') then 'credit' end
        as normal_balance,
    nullif(trim(accounts.account_group), '') as account_group,
    case
        when retained.control is not null then retained.control
        when payable.account is not null or lower(trim(accounts.control_account_module)) = 'ap' then 'ap'
        when receivable.account is not null or lower(trim(accounts.control_account_module)) = 'ar' then 'ar'
        when modules.are_told then 'none'
    end as control_of
from source.accounts as accounts
cross join modules
left join retained on trim(accounts.account_cd) = retained.account
left join payable on trim(accounts.account_cd) = payable.account
left join receivable on trim(accounts.account_cd) = receivable.account
