-- title: FOUNDATION customers
-- grain: one customer of the company

select
    trim(customer_no) as record_id,
    trim(customer_no) as code,
    trim(name) as name,
    normalize_name(trim(name)) as name_key
from source.customers
