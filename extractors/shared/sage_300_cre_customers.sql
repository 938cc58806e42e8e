-- title: Sage 300 CRE customers
-- grain: one customer of the data folder

select
    upper(trim(customer)) as record_id,
    upper(trim(customer)) as code,
    trim(name) as name,
    normalize_name(trim(name)) as name_key,
    nullif(trim(telephone), '') as phone
from source.customers
