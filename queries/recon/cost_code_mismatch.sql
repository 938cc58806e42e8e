-- title:    Linked cost codes that differ
-- check:    C3
-- entity:   cost_codes
-- scope:    project
-- record_owner: erp
-- fix_side: pm
-- version:  1
-- risk:     the larger of budget and commitments on the code in PM, once per code
-- question: Where do the two systems describe one cost code differently?
-- grain:    one row per linked pair and field; code_text: equal but for the way it is written
-- compares: code, title, cost_type, is_active
-- fix:      Correct the PM code; the connector matches codes by their exact text.
-- columns:
--   field              code_text, title, cost_type or is_active
--   code               PM's code
--   erp_code           the ERP's
--   method             how the two were linked

with told as (

    select side, coalesce(source, '') as source, count(title) > 0 as titles, count(cost_type) > 0 as types, count(is_active) > 0 as flags
    from (select 'pm' as side, * from pm.cost_codes union all select 'erp' as side, * from erp.cost_codes) as codes
    group by side, coalesce(source, '')

),

-- A field that a connection never tells is not mapped there and not comparable.
pairs as (

    select
        links.method,
        pm_told.titles and erp_told.titles as titles,
        pm_told.types and erp_told.types as types,
        pm_told.flags and erp_told.flags as flags,
        pm_side.record_id as pm_id,
        erp_side.record_id as erp_id,
        pm_side.project_id,
        pm_side.code,
        pm_side.code_key,
        erp_side.code as erp_code,
        pm_side.title,
        erp_side.title as erp_title,
        pm_side.cost_type,
        erp_side.cost_type as erp_cost_type,
        pm_side.is_active,
        erp_side.is_active as erp_is_active
    from link.cost_codes as links
    inner join pm.cost_codes as pm_side on pm_side.record_id = links.pm_id
    inner join erp.cost_codes as erp_side on erp_side.record_id = links.erp_id
    inner join told as pm_told on pm_told.side = 'pm' and pm_told.source = coalesce(pm_side.source, '')
    inner join told as erp_told on erp_told.side = 'erp' and erp_told.source = coalesce(erp_side.source, '')

),

-- Codes that a crosswalk or a stored id pairs may be called differently on purpose.
fields as (

    select pairs.*, 1 as position, 'code_text' as field, code as pm_value, erp_code as erp_value
    from pairs
    where method = 'number' and (trim(code) is distinct from trim(erp_code))

    union all

    select pairs.*, 2 as position, 'title' as field, title as pm_value, erp_title as erp_value
    from pairs
    where
        titles and
        (upper(regexp_replace(trim(title), '\s+', ' ', 'g')) is distinct from upper(regexp_replace(trim(erp_title), '\s+', ' ', 'g')))

    union all

    select pairs.*, 3 as position, 'cost_type' as field, cost_type as pm_value, erp_cost_type as erp_value
    from pairs
    where types and (upper(trim(cost_type)) is distinct from upper(trim(erp_cost_type)))

    union all

    select pairs.*, 4 as position, 'is_active' as field, cast(is_active as varchar) as pm_value,
        cast(erp_is_active as varchar) as erp_value
    from pairs
    where flags and (is_active is distinct from erp_is_active)

),

different as (

    select fields.*, row_number() over (partition by pm_id order by position, erp_id) as turn
    from fields

)

select
    'C3:' || different.pm_id || ':' || different.erp_id || ':' || different.field as exception_key,
    different.project_id,
    projects.number as project_number,
    different.pm_id,
    different.erp_id,
    coalesce(different.code, different.pm_id) || ' ' || replace(different.field, '_', ' ') as label,
    replace(different.field, '_', ' ') || ' of cost code ' || coalesce(different.code, different.pm_id) || ' is ' ||
        coalesce(different.pm_value, 'not told') || ' in PM and ' || coalesce(different.erp_value, 'not told') || ' in the ERP' as detail,
    different.pm_value,
    different.erp_value,
    cast(case when different.turn = 1 then coalesce(code_use.amount, 0) else 0 end as decimal(18,2)) as amount_at_risk,
    coalesce(code_use.currency, setting_text('currency')) as currency,
    cast(null as timestamp with time zone) as occurred_at,
    case when different.field = 'code_text' then 'code_text_differs' else 'unknown' end as cause,
    cast(null as varchar) as explained_by,
    different.field,
    different.code,
    different.erp_code,
    different.method
from different
left join link.cost_code_use as code_use on
    code_use.side = 'pm' and
    code_use.project_id = different.project_id and
    code_use.code_key = different.code_key
left join pm.projects on projects.record_id = different.project_id
