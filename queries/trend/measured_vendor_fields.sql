-- title:    Vendor fields that can be compared, kept by every commit
-- kind:     measure
-- entity:   vendors
-- question: For how many linked vendors is each field compared as of now? trend.ownership_conformance has the months.
-- grain:    one row per field that both sides tell of some vendor
-- columns:
--   field              the field, as V3 names it
--   value              linked pairs of vendors

with pairs as (

    select count(*) as pair_count from link.vendors

),

told as (

    select 'name' as field, count(pm_side.name) as pm_count, (select count(name) from erp.vendors) as erp_count
    from pm.vendors as pm_side

    union all

    select 'legal_name' as field, count(pm_side.legal_name) as pm_count, (select count(legal_name) from erp.vendors) as erp_count
    from pm.vendors as pm_side

    union all

    select 'tax_id' as field, count(pm_side.tax_id_hash) as pm_count, (select count(tax_id_hash) from erp.vendors) as erp_count
    from pm.vendors as pm_side

    union all

    select 'is_active' as field, count(pm_side.is_active) as pm_count, (select count(is_active) from erp.vendors) as erp_count
    from pm.vendors as pm_side

    union all

    select 'is_1099' as field, count(pm_side.is_1099) as pm_count, (select count(is_1099) from erp.vendors) as erp_count
    from pm.vendors as pm_side

    union all

    select 'tax_form_box' as field, count(pm_side.tax_form_box) as pm_count, (select count(tax_form_box) from erp.vendors) as erp_count
    from pm.vendors as pm_side

    union all

    select 'payment_terms' as field, count(pm_side.payment_terms) as pm_count, (select count(payment_terms) from erp.vendors) as erp_count
    from pm.vendors as pm_side

    union all

    select 'address_line' as field, count(pm_side.address_line) as pm_count, (select count(address_line) from erp.vendors) as erp_count
    from pm.vendors as pm_side

    union all

    select 'city' as field, count(pm_side.city) as pm_count, (select count(city) from erp.vendors) as erp_count
    from pm.vendors as pm_side

    union all

    select 'state' as field, count(pm_side.state) as pm_count, (select count(state) from erp.vendors) as erp_count
    from pm.vendors as pm_side

    union all

    select 'postal_code' as field, count(pm_side.postal_code) as pm_count, (select count(postal_code) from erp.vendors) as erp_count
    from pm.vendors as pm_side

    union all

    select 'country' as field, count(pm_side.country) as pm_count, (select count(country) from erp.vendors) as erp_count
    from pm.vendors as pm_side

    union all

    select 'email' as field, count(pm_side.email) as pm_count, (select count(email) from erp.vendors) as erp_count
    from pm.vendors as pm_side

    union all

    select 'phone' as field, count(pm_side.phone) as pm_count, (select count(phone) from erp.vendors) as erp_count
    from pm.vendors as pm_side

)

select told.field, pairs.pair_count as value
from told
cross join pairs
where
    told.pm_count > 0 and
    told.erp_count > 0
