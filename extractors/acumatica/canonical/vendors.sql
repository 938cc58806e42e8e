-- title: Acumatica vendors
-- grain: one vendor
-- statuses: Active, On Hold, Hold Payments, Inactive, One-Time
-- Only Inactive is out of use: the others still take documents. AccountRef is free text, not a stored foreign key, so linked_id is
-- left out: a reference to something else would be an orphaned link and keep the vendor from linking by its name.

select
    trim(vendor_id) as record_id,
    created_date_time as created_at,
    last_modified_date_time as updated_at,
    trim(vendor_id) as code,
    trim(vendor_name) as name,
    normalize_name(trim(vendor_name)) as name_key,
    nullif(trim(legal_name), '') as legal_name,
    tax_id_hash,
    coalesce(lower(trim(status)), '') <> 'inactive' as is_active,
    f1099_vendor as is_1099,
    nullif(trim(f1099_box), '') as tax_form_box,
    nullif(trim(terms), '') as payment_terms,
    nullif(trim(address_line), '') as address_line,
    nullif(trim(city), '') as city,
    nullif(trim(state), '') as state,
    nullif(trim(postal_code), '') as postal_code,
    nullif(trim(country), '') as country,
    nullif(trim(email), '') as email,
    nullif(trim(phone), '') as phone
from source.vendors
