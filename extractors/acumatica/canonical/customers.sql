-- title: Acumatica customers
-- grain: one customer
-- statuses: Active, On Hold, Credit Hold, Inactive, One-Time

select
    trim(customer_id) as record_id,
    created_date_time as created_at,
    last_modified_date_time as updated_at,
    trim(customer_id) as code,
    trim(customer_name) as name,
    normalize_name(trim(customer_name)) as name_key,
    tax_id_hash,
    coalesce(lower(trim(status)), '') <> 'inactive' as is_active,
    nullif(trim(terms), '') as payment_terms,
    nullif(trim(address_line), '') as address_line,
    nullif(trim(city), '') as city,
    nullif(trim(state), '') as state,
    nullif(trim(postal_code), '') as postal_code,
    nullif(trim(country), '') as country,
    nullif(trim(email), '') as email,
    nullif(trim(phone), '') as phone
from source.customers
