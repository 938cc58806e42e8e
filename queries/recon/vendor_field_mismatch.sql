-- title:    Linked vendors whose fields differ
-- check:    V3
-- entity:   vendors
-- scope:    firm
-- record_owner: erp
-- fix_side: pm
-- version:  2
-- risk:     the vendor's open commitments and unpaid invoices in PM, once per vendor
-- question: Where do the two systems describe one vendor differently?
-- grain:    one row per linked pair and field
-- fix:      The ERP owns vendors: correct PM, or correct the ERP and sync again.
-- columns:
--   field              the field that differs
--   name               the vendor's name in PM
--   erp_name           the vendor's name in the ERP
--   method             how the two were linked
--   comparison         differs, missing_in_pm or missing_in_erp

with pm_mapped as (

    select
        count(name) as name,
        count(legal_name) as legal_name,
        count(tax_id_hash) as tax_id,
        count(is_active) as is_active,
        count(is_1099) as is_1099,
        count(tax_form_box) as tax_form_box,
        count(payment_terms) as payment_terms,
        count(address_line) as address_line,
        count(city) as city,
        count(state) as state,
        count(postal_code) as postal_code,
        count(country) as country,
        count(email) as email,
        count(phone) as phone
    from pm.vendors

),

erp_mapped as (

    select
        count(name) as name,
        count(legal_name) as legal_name,
        count(tax_id_hash) as tax_id,
        count(is_active) as is_active,
        count(is_1099) as is_1099,
        count(tax_form_box) as tax_form_box,
        count(payment_terms) as payment_terms,
        count(address_line) as address_line,
        count(city) as city,
        count(state) as state,
        count(postal_code) as postal_code,
        count(country) as country,
        count(email) as email,
        count(phone) as phone
    from erp.vendors

),

-- As people would read them: case, spaces, punctuation, the post's abbreviations, ZIP+4 and +1 are no difference.
compared as (

    select
        links.pm_id,
        links.erp_id,
        links.method,
        pm_side.name,
        erp_side.name as erp_name,
        fields.position,
        fields.field,
        case fields.field
            when 'name' then pm_mapped.name > 0 and erp_mapped.name > 0
            -- No connector sends it: what one side leaves out says nothing.
            when 'legal_name' then pm_side.legal_name is not null and erp_side.legal_name is not null
            when 'tax_id' then pm_mapped.tax_id > 0 and erp_mapped.tax_id > 0
            when 'is_active' then pm_mapped.is_active > 0 and erp_mapped.is_active > 0
            when 'is_1099' then pm_mapped.is_1099 > 0 and erp_mapped.is_1099 > 0
            when 'tax_form_box' then pm_mapped.tax_form_box > 0 and erp_mapped.tax_form_box > 0
            when 'payment_terms' then pm_mapped.payment_terms > 0 and erp_mapped.payment_terms > 0
            when 'address_line' then pm_mapped.address_line > 0 and erp_mapped.address_line > 0
            when 'city' then pm_mapped.city > 0 and erp_mapped.city > 0
            when 'state' then pm_mapped.state > 0 and erp_mapped.state > 0
            when 'postal_code' then pm_mapped.postal_code > 0 and erp_mapped.postal_code > 0
            when 'country' then pm_mapped.country > 0 and erp_mapped.country > 0
            when 'email' then pm_mapped.email > 0 and erp_mapped.email > 0
            when 'phone' then pm_mapped.phone > 0 and erp_mapped.phone > 0
        end as is_comparable,
        case fields.field
            when 'name' then pm_side.name_key
            when 'legal_name' then normalize_name(pm_side.legal_name)
            when 'tax_id' then pm_side.tax_id_hash
            when 'is_active' then cast(pm_side.is_active as varchar)
            when 'is_1099' then cast(pm_side.is_1099 as varchar)
            when 'tax_form_box' then nullif(upper(trim(pm_side.tax_form_box)), '')
            when 'payment_terms' then nullif(upper(trim(pm_side.payment_terms)), '')
            when 'address_line' then normalize_address(pm_side.address_line)
            when 'city' then nullif(upper(trim(pm_side.city)), '')
            when 'state' then nullif(upper(trim(pm_side.state)), '')
            when 'postal_code' then normalize_postal_code(pm_side.postal_code)
            when 'country' then nullif(upper(trim(pm_side.country)), '')
            when 'email' then nullif(upper(trim(pm_side.email)), '')
            when 'phone' then normalize_phone(pm_side.phone)
        end as pm_key,
        case fields.field
            when 'name' then erp_side.name_key
            when 'legal_name' then normalize_name(erp_side.legal_name)
            when 'tax_id' then erp_side.tax_id_hash
            when 'is_active' then cast(erp_side.is_active as varchar)
            when 'is_1099' then cast(erp_side.is_1099 as varchar)
            when 'tax_form_box' then nullif(upper(trim(erp_side.tax_form_box)), '')
            when 'payment_terms' then nullif(upper(trim(erp_side.payment_terms)), '')
            when 'address_line' then normalize_address(erp_side.address_line)
            when 'city' then nullif(upper(trim(erp_side.city)), '')
            when 'state' then nullif(upper(trim(erp_side.state)), '')
            when 'postal_code' then normalize_postal_code(erp_side.postal_code)
            when 'country' then nullif(upper(trim(erp_side.country)), '')
            when 'email' then nullif(upper(trim(erp_side.email)), '')
            when 'phone' then normalize_phone(erp_side.phone)
        end as erp_key,
        case fields.field
            when 'name' then pm_side.name
            when 'legal_name' then pm_side.legal_name
            when 'tax_id' then pm_side.tax_id_hash
            when 'is_active' then cast(pm_side.is_active as varchar)
            when 'is_1099' then cast(pm_side.is_1099 as varchar)
            when 'tax_form_box' then pm_side.tax_form_box
            when 'payment_terms' then pm_side.payment_terms
            when 'address_line' then pm_side.address_line
            when 'city' then pm_side.city
            when 'state' then pm_side.state
            when 'postal_code' then pm_side.postal_code
            when 'country' then pm_side.country
            when 'email' then pm_side.email
            when 'phone' then pm_side.phone
        end as pm_value,
        case fields.field
            when 'name' then erp_side.name
            when 'legal_name' then erp_side.legal_name
            when 'tax_id' then erp_side.tax_id_hash
            when 'is_active' then cast(erp_side.is_active as varchar)
            when 'is_1099' then cast(erp_side.is_1099 as varchar)
            when 'tax_form_box' then erp_side.tax_form_box
            when 'payment_terms' then erp_side.payment_terms
            when 'address_line' then erp_side.address_line
            when 'city' then erp_side.city
            when 'state' then erp_side.state
            when 'postal_code' then erp_side.postal_code
            when 'country' then erp_side.country
            when 'email' then erp_side.email
            when 'phone' then erp_side.phone
        end as erp_value
    from link.vendors as links
    inner join pm.vendors as pm_side on pm_side.record_id = links.pm_id
    inner join erp.vendors as erp_side on erp_side.record_id = links.erp_id
    cross join (
        values
            (1, 'name'),
            (2, 'legal_name'),
            (3, 'tax_id'),
            (4, 'is_active'),
            (5, 'is_1099'),
            (6, 'tax_form_box'),
            (7, 'payment_terms'),
            (8, 'address_line'),
            (9, 'city'),
            (10, 'state'),
            (11, 'postal_code'),
            (12, 'country'),
            (13, 'email'),
            (14, 'phone')
    ) as fields (position, field)
    cross join pm_mapped
    cross join erp_mapped

),

-- Told on one side only is a difference; never told by a side at all is not comparable.
different as (

    select
        compared.*,
        row_number() over (partition by pm_id order by position, erp_id) as turn
    from compared
    where
        is_comparable and
        pm_key is distinct from erp_key

)

select
    'V3:' || different.pm_id || ':' || different.erp_id || ':' || different.field as exception_key,
    cast(null as varchar) as project_id,
    cast(null as varchar) as project_number,
    different.pm_id,
    different.erp_id,
    coalesce(different.name, different.pm_id) || ' ' || different.field as label,
    different.field || ' of vendor ' || coalesce(different.name, different.pm_id) ||
        -- The hash of a tax identifier says nothing to a person.
        case
            when different.field = 'tax_id' then ' is not the same in PM and in the ERP'
            else
                ' is ' || coalesce(different.pm_value, 'not told') || ' in PM and ' ||
                coalesce(different.erp_value, 'not told') || ' in the ERP'
        end as detail,
    different.pm_value,
    different.erp_value,
    -- Three fields of one vendor do not risk its money three times: the first carries it.
    cast(case when different.turn = 1 then coalesce(vendor_use.open_amount, 0) else 0 end as decimal(18,2)) as amount_at_risk,
    coalesce(vendor_use.currency, setting_text('currency')) as currency,
    cast(null as timestamp with time zone) as occurred_at,
    'unknown' as cause,
    cast(null as varchar) as explained_by,
    different.field,
    different.name,
    different.erp_name,
    different.method,
    case
        when different.pm_key is null then 'missing_in_pm'
        when different.erp_key is null then 'missing_in_erp'
        else 'differs'
    end as comparison
from different
left join link.vendor_use on vendor_use.vendor_id = different.pm_id
