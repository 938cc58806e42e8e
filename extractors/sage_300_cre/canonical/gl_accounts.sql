-- title: Accounts of Sage 300 CRE
-- grain: one account of the data folder
-- The cost type that posts to an account is the category whose cost account it is, where that is one alone.

with categories as (

    select
        trim(cost_account) as account,
        case when min(upper(trim(category))) = max(upper(trim(category))) then min(upper(trim(category))) end as category
    from source.categories
    where nullif(trim(cost_account), '') is not null
    group by trim(cost_account)

)

select
    trim(accounts.account) as record_id,
    trim(accounts.account) as account,
    trim(accounts.account_title) as name,
    case
        when lower(accounts.account_type) like '%asset%' then 'asset'
        when lower(accounts.account_type) like '%liabilit%' then 'liability'
        when lower(accounts.account_type) like '%income%' then 'income'
        when lower(accounts.account_type) like '%expense%' then 'expense'
    end as type,
    categories.category as account_group
from source.accounts as accounts
left join categories on categories.account = trim(accounts.account)
