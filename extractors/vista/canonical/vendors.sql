-- title: Vista vendors
-- grain: one vendor of a group that the companies buy by; groups of other companies are none of theirs
-- A group's numbers are its own: vendor 12 of group 1 is not vendor 12 of group 2.

with groups as (

    select distinct vendor_group from source.companies where vendor_group is not null

)

select
    concat(vendors.vendor_group, '|', vendors.vendor) as record_id,
    cast(vendors.vendor as varchar) as code,
    trim(vendors.name) as name,
    normalize_name(trim(vendors.name)) as name_key,
    vendors.tax_id_hash,
    upper(trim(vendors.active_yn)) is distinct from 'N' as is_active,
    upper(trim(vendors.v1099_yn)) = 'Y' as is_1099,
    nullif(concat_ws(' ', nullif(trim(vendors.v1099_type), ''), cast(vendors.v1099_box as varchar)), '') as tax_form_box,
    nullif(trim(vendors.pay_terms), '') as payment_terms,
    nullif(trim(vendors.address), '') as address_line,
    nullif(trim(vendors.city), '') as city,
    nullif(trim(vendors.state), '') as state,
    nullif(trim(vendors.zip), '') as postal_code,
    nullif(trim(vendors.country), '') as country,
    nullif(trim(vendors.e_mail), '') as email,
    nullif(trim(vendors.phone), '') as phone
from source.vendors as vendors
inner join groups on groups.vendor_group = vendors.vendor_group
