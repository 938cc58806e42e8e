-- title: Acumatica chart of accounts
-- grain: one account
-- Which accounts control AP, AR and retainage is not told by the entity: the firm's [accounts] says it.

select
    trim(account_cd) as record_id,
    created_date_time as created_at,
    last_modified_date_time as updated_at,
    trim(account_cd) as account,
    trim(description) as name,
    lower(trim(type)) as type,
    case when lower(trim(type)) in ('asset', 'expense') then 'debit' when lower(trim(type)) in ('liability', 'income') then 'credit' end
        as normal_balance,
    nullif(trim(account_group), '') as account_group
from source.accounts
