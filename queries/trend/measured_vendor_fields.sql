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

pm_told as (

    select
        count(name) > 0 as name,
        count(legal_name) > 0 as legal_name,
        count(tax_id_hash) > 0 as tax_id,
        count(is_active) > 0 as is_active,
        count(is_1099) > 0 as is_1099,
        count(tax_form_box) > 0 as tax_form_box,
        count(payment_terms) > 0 as payment_terms,
        count(address_line) > 0 as address_line,
        count(city) > 0 as city,
        count(state) > 0 as state,
        count(postal_code) > 0 as postal_code,
        count(country) > 0 as country,
        count(email) > 0 as email,
        count(phone) > 0 as phone
    from pm.vendors

),

erp_told as (

    select
        count(name) > 0 as name,
        count(legal_name) > 0 as legal_name,
        count(tax_id_hash) > 0 as tax_id,
        count(is_active) > 0 as is_active,
        count(is_1099) > 0 as is_1099,
        count(tax_form_box) > 0 as tax_form_box,
        count(payment_terms) > 0 as payment_terms,
        count(address_line) > 0 as address_line,
        count(city) > 0 as city,
        count(state) > 0 as state,
        count(postal_code) > 0 as postal_code,
        count(country) > 0 as country,
        count(email) > 0 as email,
        count(phone) > 0 as phone
    from erp.vendors

)

select
    fields.field,
    pairs.pair_count as value
from (
    values
        ('name'),
        ('legal_name'),
        ('tax_id'),
        ('is_active'),
        ('is_1099'),
        ('tax_form_box'),
        ('payment_terms'),
        ('address_line'),
        ('city'),
        ('state'),
        ('postal_code'),
        ('country'),
        ('email'),
        ('phone')
) as fields (field)
cross join pairs
cross join pm_told
cross join erp_told
where
    case fields.field
        when 'name' then pm_told.name and erp_told.name
        when 'legal_name' then pm_told.legal_name and erp_told.legal_name
        when 'tax_id' then pm_told.tax_id and erp_told.tax_id
        when 'is_active' then pm_told.is_active and erp_told.is_active
        when 'is_1099' then pm_told.is_1099 and erp_told.is_1099
        when 'tax_form_box' then pm_told.tax_form_box and erp_told.tax_form_box
        when 'payment_terms' then pm_told.payment_terms and erp_told.payment_terms
        when 'address_line' then pm_told.address_line and erp_told.address_line
        when 'city' then pm_told.city and erp_told.city
        when 'state' then pm_told.state and erp_told.state
        when 'postal_code' then pm_told.postal_code and erp_told.postal_code
        when 'country' then pm_told.country and erp_told.country
        when 'email' then pm_told.email and erp_told.email
        when 'phone' then pm_told.phone and erp_told.phone
    end
