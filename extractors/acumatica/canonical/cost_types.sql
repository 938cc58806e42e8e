-- title: Acumatica account groups as cost types
-- grain: one account group that takes cost
-- Income and liability groups carry billings, not cost.

select
    trim(account_group_id) as record_id,
    last_modified_date_time as updated_at,
    trim(account_group_id) as code,
    trim(description) as title
from source.account_groups
where coalesce(expense, false) or coalesce(lower(trim(type)), '') not in ('income', 'liability')
