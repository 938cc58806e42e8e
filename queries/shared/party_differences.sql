-- title:    Fields in which linked vendors or customers differ
-- question: What does each side say of one company, where both sides say it of any?
-- grain:    one row per linked pair and field that differs; `entity` stands for the entity of its reader
-- columns:
--   position           place of the field
--   field              name, legal_name, tax_id, is_active, is_1099, tax_form_box, payment_terms, address_line, city, state, …
--   pm_key             as people would read it: case, spaces, punctuation, the post's abbreviations, ZIP+4 and +1 are no difference
--   erp_key            the same in the ERP
--   pm_value           as written; of a tax id its hash
--   erp_value          the same in the ERP

with parties as (

    select 'pm' as side, coalesce(source, '') as source, record_id, name, name_key, legal_name, tax_id_hash, is_active, is_1099, tax_form_box, payment_terms, address_line,
        city, state, postal_code, country, email, phone
    from pm.entity

    union all

    select 'erp' as side, coalesce(source, '') as source, record_id, name, name_key, legal_name, tax_id_hash, is_active, is_1099, tax_form_box, payment_terms, address_line,
        city, state, postal_code, country, email, phone
    from erp.entity

),

said as (

    select
        parties.side,
        parties.source,
        parties.record_id,
        parties.name_key,
        fields.position,
        fields.field,
        case fields.field
            when 'name' then parties.name
            when 'legal_name' then parties.legal_name
            when 'tax_id' then parties.tax_id_hash
            when 'is_active' then cast(parties.is_active as varchar)
            when 'is_1099' then cast(parties.is_1099 as varchar)
            when 'tax_form_box' then parties.tax_form_box
            when 'payment_terms' then parties.payment_terms
            when 'address_line' then parties.address_line
            when 'city' then parties.city
            when 'state' then parties.state
            when 'postal_code' then parties.postal_code
            when 'country' then parties.country
            when 'email' then parties.email
            when 'phone' then parties.phone
        end as value
    from parties
    cross join (
        values (1, 'name'), (2, 'legal_name'), (3, 'tax_id'), (4, 'is_active'), (5, 'is_1099'), (6, 'tax_form_box'), (7, 'payment_terms'),
            (8, 'address_line'), (9, 'city'), (10, 'state'), (11, 'postal_code'), (12, 'country'), (13, 'email'), (14, 'phone')
    ) as fields (position, field)

),

keyed as (

    select
        side, source, record_id, position, field, value,
        nullif(
            case field
                when 'name' then name_key
                when 'legal_name' then normalize_name(value)
                when 'tax_id' then value
                when 'address_line' then normalize_address(value)
                when 'postal_code' then normalize_postal_code(value)
                when 'phone' then normalize_phone(value)
                else upper(trim(value))
            end,
            ''
        ) as key
    from said

),

-- Told of one company on one side only is a difference; never told by a connection at all is not comparable.
told as (

    select side, source, field from said where value is not null group by side, source, field

)

select links.pm_id, links.erp_id, links.method, pm_side.position, pm_side.field, pm_side.key as pm_key, erp_side.key as erp_key,
    pm_side.value as pm_value, erp_side.value as erp_value
from link.entity as links
inner join keyed as pm_side on pm_side.side = 'pm' and pm_side.record_id = links.pm_id
inner join keyed as erp_side on erp_side.side = 'erp' and erp_side.record_id = links.erp_id and erp_side.field = pm_side.field
left semi join told as pm_told on pm_told.side = 'pm' and pm_told.source = pm_side.source and pm_told.field = pm_side.field
left semi join told as erp_told on erp_told.side = 'erp' and erp_told.source = erp_side.source and erp_told.field = pm_side.field
where
    (pm_side.key is distinct from erp_side.key) and
    -- No connector sends it: what one side leaves out says nothing.
    (pm_side.field <> 'legal_name' or pm_side.value is not null and erp_side.value is not null)
