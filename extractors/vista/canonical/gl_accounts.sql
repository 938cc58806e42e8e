-- title: Vista chart of accounts
-- grain: one account of a company
-- The letters of types are asset, liability, capital (a liability here), income, expense; another letter tells no type.
-- Which accounts payables and retainage are booked on is told by the pay types, receivables and theirs by the receivable types. An account
-- that retainage shares with other payables is one of payables.

with retained as (

    select ap_co, ret_pay_type as pay_type from source.ap_companies where ret_pay_type is not null
    union
    select ap_co, ret_pay_type from source.pay_categories where ret_pay_type is not null

),

controls as (

    select types.gl_co, types.gl_acct, case when retained.pay_type is not null then 'retainage_payable' else 'ap' end as control
    from source.pay_types as types
    left join retained on retained.ap_co = types.ap_co and retained.pay_type = types.pay_type

    union

    select gl_co, glar_acct, 'ar' from source.receivable_types where nullif(trim(glar_acct), '') is not null

    union

    select gl_co, gl_retain_acct, 'retainage_receivable' from source.receivable_types where nullif(trim(gl_retain_acct), '') is not null

),

told as (

    -- `ap` and `ar` come before the names of retainage.
    select gl_co, gl_acct, min(control) as control from controls group by gl_co, gl_acct

),

firms as (

    select count(*) > 1 as are_several from source.gl_companies

),

accounts as (

    select *, upper(trim(acct_type)) as letter, rtrim(regexp_replace(trim(gl_acct), ' *([^A-Za-z0-9 ]) *', '\1', 'g'), '-./ ') as number
    from source.gl_accounts

)

select
    concat(accounts.gl_co, '|', accounts.number) as record_id,
    case when firms.are_several then concat(accounts.gl_co, '|', accounts.number) else accounts.number end as account,
    trim(accounts.description) as name,
    case accounts.letter when 'A' then 'asset' when 'L' then 'liability' when 'C' then 'liability' when 'I' then 'income' when 'E' then 'expense' end
        as type,
    case upper(trim(accounts.norm_bal)) when 'D' then 'debit' when 'C' then 'credit' end as normal_balance,
    coalesce(told.control, 'none') as control_of
from accounts
cross join firms
left join told on told.gl_co = accounts.gl_co and told.gl_acct = accounts.gl_acct
