-- title: Procore companies billed by prime contracts
-- grain: one company that a live prime contract names as the party we bill
-- Procore has no customer: it is the prime contract's vendor. The directory's record is used where it can be read, else what the
-- newest contract repeats of it.
--   contracts 1 and 2 name company 7 → one customer, 7.

with demo_projects as (

    select id from source.projects where is_demo

),

named as (

    select contracts.vendor_id, contracts.vendor_name, contracts.vendor_origin_id, contracts.vendor_origin_code,
        contracts.vendor_tax_id_hash,
        row_number() over (partition by contracts.vendor_id order by contracts.updated_at desc nulls last, contracts.id desc) as position
    from source.prime_contracts as contracts
    left anti join demo_projects on contracts.project_id = demo_projects.id
    where contracts.deleted_at is null and contracts.vendor_id is not null

),

directory as (

    select id, name, legal_name, coalesce(is_active, true) as is_active, origin_id, origin_code, tax_id_hash, address, city,
        state_code, zip, country_code, email_address, business_phone, created_at, updated_at
    from source.vendors

    union all

    select inactive.id, inactive.name, inactive.legal_name, false as is_active, inactive.origin_id, inactive.origin_code,
        inactive.tax_id_hash, inactive.address, inactive.city, inactive.state_code, inactive.zip, inactive.country_code,
        inactive.email_address, inactive.business_phone, inactive.created_at, inactive.updated_at
    from source.inactive_vendors as inactive
    left anti join source.vendors as active on inactive.id = active.id

)

select
    cast(named.vendor_id as varchar) as record_id,
    coalesce(
        nullif(trim(directory.origin_id), ''), nullif(trim(directory.origin_code), ''),
        nullif(trim(named.vendor_origin_id), ''), nullif(trim(named.vendor_origin_code), '')
    ) as linked_id,
    directory.created_at,
    directory.updated_at,
    coalesce(directory.name, named.vendor_name) as name,
    normalize_name(coalesce(directory.name, named.vendor_name)) as name_key,
    nullif(trim(directory.legal_name), '') as legal_name,
    coalesce(directory.tax_id_hash, named.vendor_tax_id_hash) as tax_id_hash,
    directory.is_active,
    nullif(trim(directory.address), '') as address_line,
    nullif(trim(directory.city), '') as city,
    nullif(trim(directory.state_code), '') as state,
    nullif(trim(directory.zip), '') as postal_code,
    nullif(trim(directory.country_code), '') as country,
    nullif(trim(directory.email_address), '') as email,
    nullif(trim(directory.business_phone), '') as phone
from named
left join directory on named.vendor_id = directory.id
where named.position = 1
