-- title: Sage Intacct customers
-- grain: one customer
-- statuses: active, activeNonPosting, inactive

select
    trim(id) as record_id,
    created_date_time as created_at,
    modified_date_time as updated_at,
    trim(id) as code,
    trim(name) as name,
    normalize_name(trim(name)) as name_key,
    tax_id_hash,
    coalesce(lower(trim(status)), '') <> 'inactive' as is_active,
    nullif(trim(term), '') as payment_terms,
    nullif(trim(address_line), '') as address_line,
    nullif(trim(city), '') as city,
    nullif(trim(region), '') as state,
    nullif(trim(postal_code), '') as postal_code,
    nullif(trim(country), '') as country,
    nullif(trim(email), '') as email,
    nullif(trim(phone), '') as phone
from source.customers
