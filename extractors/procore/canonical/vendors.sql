-- title: Procore companies as vendors
-- grain: one company of the directory
-- Active and inactive companies are two lists. One that moves between them while they are read stands in both: the active one wins.
--   vendors 7, inactive_vendors 7 → one row, active.
-- `code` is left out: Procore has no vendor code of its own, only the ERP's in origin_code, which is the link.

with directory as (

    select _key, id, name, legal_name, coalesce(is_active, true) as is_active, origin_id, origin_code, tax_id_hash, address, city,
        state_code, zip, country_code, email_address, business_phone, created_at, updated_at
    from source.vendors

    union all

    select inactive._key, inactive.id, inactive.name, inactive.legal_name, false as is_active, inactive.origin_id, inactive.origin_code,
        inactive.tax_id_hash, inactive.address, inactive.city, inactive.state_code, inactive.zip, inactive.country_code,
        inactive.email_address, inactive.business_phone, inactive.created_at, inactive.updated_at
    from source.inactive_vendors as inactive
    left anti join source.vendors as active on inactive.id = active.id

)

select
    _key as record_id,
    coalesce(nullif(trim(origin_id), ''), nullif(trim(origin_code), '')) as linked_id,
    created_at,
    updated_at,
    name,
    normalize_name(name) as name_key,
    nullif(trim(legal_name), '') as legal_name,
    tax_id_hash,
    is_active,
    nullif(trim(address), '') as address_line,
    nullif(trim(city), '') as city,
    nullif(trim(state_code), '') as state,
    nullif(trim(zip), '') as postal_code,
    nullif(trim(country_code), '') as country,
    nullif(trim(email_address), '') as email,
    nullif(trim(business_phone), '') as phone
from directory
