-- title: CMiC vendors
-- grain: one business partner that a company buys from; those of the demo company ZZ are none
-- A partner is shared, and each company has a row of its own: the row of a company that uses it counts, of those the one changed last.
--   V0042 active in 001 and not in 002 → active, with the terms of 001.
-- The city is in one of three free address lines, and nobody says whether a tax licence is a taxpayer number or a GST number: both are
-- left out, so that they are not compared.

with rows as (

    select
        *,
        trim(bpven_bp_code) as code,
        upper(trim(bpven_active_flag)) is distinct from 'N' as is_active
    from source.vendors
    where coalesce(upper(trim(bpven_comp_code)), '') <> 'ZZ'

),

ranked as (

    select
        *,
        row_number() over (
            partition by code
            order by is_active desc, coalesce(bpven_iu_update_date, bpven_iu_create_date) desc nulls last, bpven_comp_code
        ) as choice,
        min(bpven_iu_create_date) over (partition by code) as first_created_at
    from rows

)

select
    code as record_id,
    first_created_at as created_at,
    coalesce(bpven_iu_update_date, bpven_iu_create_date) as updated_at,
    code,
    trim(bpven_bp_name) as name,
    normalize_name(trim(bpven_bp_name)) as name_key,
    is_active,
    nullif(trim(form_1099_code), '') is not null as is_1099,
    nullif(trim(form_1099_code), '') as tax_form_box,
    nullif(trim(bpven_term_code), '') as payment_terms,
    nullif(trim(bpven_ord_add1), '') as address_line,
    nullif(trim(bpven_ord_region_code), '') as state,
    nullif(trim(bpven_ord_postal_code), '') as postal_code,
    nullif(trim(bpven_ord_country), '') as country,
    nullif(trim(bpven_ord_email), '') as email,
    nullif(trim(bpven_ord_phone), '') as phone
from ranked
where choice = 1
