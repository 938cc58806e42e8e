-- title: CMiC customers, as projects name them
-- grain: one customer code of a project
-- Customers have a list of their own, whose attributes are not published: what a project says of its customer stands in, of several
-- projects the one changed last. A customer without a project is not seen, so activity is not told.

with named as (

    select
        *,
        trim(grpmp_cust_code) as code,
        row_number() over (
            partition by trim(grpmp_cust_code)
            order by coalesce(grpmp_iu_update_date, grpmp_iu_create_date) desc nulls last, grpmp_comp_code, grpmp_proj_code
        ) as choice
    from source.projects
    where nullif(trim(grpmp_cust_code), '') is not null and coalesce(upper(trim(grpmp_comp_code)), '') <> 'ZZ'

)

select
    code as record_id,
    code,
    trim(grpmp_cust_name) as name,
    normalize_name(trim(grpmp_cust_name)) as name_key,
    nullif(trim(customer_line), '') as address_line,
    nullif(trim(grpmp_cust_region_code), '') as state,
    nullif(trim(grpmp_cust_postal_code), '') as postal_code,
    nullif(trim(grpmp_cust_country), '') as country
from named
where choice = 1
