-- title:    Accounts that cost of each type belongs on
-- question: Which accounts may job cost of a cost type be posted to?
-- grain:    one row per ERP account and cost type
-- columns:
--   source             the connection
--   cost_type          the ERP's cost type
--   account            account as the ERP writes it
--   account_group      its group in the ERP
--   basis              file: crosswalks/cost_type_accounts.csv (columns cost_type and account; 50* is every account that begins
--                      with 50) says so; group: the account's group is the cost type. Of a cost type in the file only the file counts.

with told as (

    select upper(trim(pm_id)) as cost_type, trim(erp_id) as account from link.crosswalk where entity = 'cost_type_accounts'

)

select distinct accounts.source, told.cost_type, accounts.account, accounts.account_group, 'file' as basis
from erp.gl_accounts as accounts
cross join told
where
    accounts.account = told.account or
    told.account like '%*' and starts_with(accounts.account, substr(told.account, 1, length(told.account) - 1))

union all

select distinct accounts.source, accounts.account_group as cost_type, accounts.account, accounts.account_group, 'group' as basis
from erp.gl_accounts as accounts
left anti join told on told.cost_type = upper(accounts.account_group)
where accounts.account_group is not null
