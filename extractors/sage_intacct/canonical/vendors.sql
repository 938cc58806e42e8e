-- title: Sage Intacct vendors
-- grain: one vendor
-- statuses: active, activeNonPosting, inactive
-- Documents name a vendor by its id, and so does PM; the record number is the interface's own. A vendor on hold, or one that is not to
-- be paid, is still in use. The name on form 1099 is the legal one where the form has one.
-- What the audit history says was deleted since is gone, though the list was not read whole again yet.

with gone as (

    select trim(object_id) as id, max(deleted_at) as deleted_at
    from source.deletions
    where lower(trim(object_name)) = 'vendor'
    group by 1

)

select
    trim(vendors.id) as record_id,
    vendors.created_date_time as created_at,
    vendors.modified_date_time as updated_at,
    trim(vendors.id) as code,
    trim(vendors.name) as name,
    normalize_name(trim(vendors.name)) as name_key,
    nullif(trim(vendors.name_on_1099), '') as legal_name,
    vendors.tax_id_hash,
    coalesce(lower(trim(vendors.status)), '') <> 'inactive' as is_active,
    nullif(trim(vendors.form_1099), '') is not null as is_1099,
    nullif(trim(vendors.form_1099_box), '') as tax_form_box,
    nullif(trim(vendors.term), '') as payment_terms,
    nullif(trim(vendors.address_line), '') as address_line,
    nullif(trim(vendors.city), '') as city,
    nullif(trim(vendors.region), '') as state,
    nullif(trim(vendors.postal_code), '') as postal_code,
    nullif(trim(vendors.country), '') as country,
    nullif(trim(vendors.email), '') as email,
    nullif(trim(vendors.phone), '') as phone
from source.vendors as vendors
left anti join gone on gone.id = trim(vendors.id) and gone.deleted_at > coalesce(vendors.created_date_time, timestamp '1970-01-01')
