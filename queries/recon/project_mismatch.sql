-- title:    Projects on one side only, or described differently
-- check:    J1
-- entity:   projects
-- scope:    firm
-- record_owner: hybrid
-- version:  2
-- risk:     none: its documents carry the money
-- question: Which projects do the two systems not agree on?
-- grain:    one row per project that one side lacks; one per linked project and field that differs
-- compares: name, is_active, entity_code
-- fix:      PM owns name, dates and status; the ERP owns the ledger coding (see recon.ownership).
-- columns:
--   reason             only_in_pm, only_in_erp, differs or gl_coding_absent
--   field              the field that differs
--   number             PM's number, else the ERP's
--   name               PM's name, else the ERP's

-- A project that is not active any more needs no counterpart, nor one that is still bid for. The ERP's own jobs (overhead, shop) have
-- no customer.
with one_sided as (

    select 'only_in_pm' as reason, 'pm' as side, projects.record_id, projects.number, projects.name,
        coalesce(projects.created_at, end_of_day(projects.start_date)) as occurred_at
    from pm.projects
    left anti join link.projects as links on links.pm_id = projects.record_id
    where coalesce(projects.is_active, true) and coalesce(projects.approval_status, 'approved') not in ('draft', 'rejected', 'void')

    union all

    select 'only_in_erp' as reason, 'erp' as side, projects.record_id, projects.number, projects.name,
        coalesce(projects.created_at, end_of_day(projects.start_date)) as occurred_at
    from erp.projects
    left anti join link.projects as links on links.erp_id = projects.record_id
    where coalesce(projects.is_active, true) and projects.customer_id is not null

),

mapped as (

    select
        pm_side.names > 0 and erp_side.names > 0 as names,
        pm_side.flags > 0 and erp_side.flags > 0 as flags,
        pm_side.entities > 0 and erp_side.entities > 0 as entities,
        erp_side.segments > 0 as segments
    from (
        select count(name) as names, count(is_active) as flags, count(entity_code) as entities from pm.projects
    ) as pm_side
    cross join (
        select count(name) as names, count(is_active) as flags, count(entity_code) as entities, count(gl_segment) as segments
        from erp.projects
    ) as erp_side

),

pairs as (

    select
        links.pm_id,
        links.erp_id,
        pm_side.number,
        pm_side.name,
        erp_side.name as erp_name,
        pm_side.is_active,
        erp_side.is_active as erp_is_active,
        pm_side.entity_code,
        erp_side.entity_code as erp_entity_code,
        erp_side.gl_segment as erp_gl_segment
    from link.projects as links
    inner join pm.projects as pm_side on pm_side.record_id = links.pm_id
    inner join erp.projects as erp_side on erp_side.record_id = links.erp_id

),

fields as (

    select pairs.*, 'differs' as reason, 'name' as field, name as pm_value, erp_name as erp_value, 'pm' as record_owner, 'erp' as fix_side
    from pairs
    cross join mapped
    where
        mapped.names and
        (upper(regexp_replace(trim(name), '\s+', ' ', 'g')) is distinct from upper(regexp_replace(trim(erp_name), '\s+', ' ', 'g')))

    union all

    select pairs.*, 'differs' as reason, 'is_active' as field, cast(is_active as varchar) as pm_value,
        cast(erp_is_active as varchar) as erp_value, 'pm' as record_owner, 'erp' as fix_side
    from pairs
    cross join mapped
    where mapped.flags and (is_active is distinct from erp_is_active)

    union all

    select pairs.*, 'differs' as reason, 'entity_code' as field, entity_code as pm_value, erp_entity_code as erp_value,
        'erp' as record_owner, 'pm' as fix_side
    from pairs
    cross join mapped
    where mapped.entities and (upper(trim(entity_code)) is distinct from upper(trim(erp_entity_code)))

    union all

    select pairs.*, 'gl_coding_absent' as reason, 'gl_segment' as field, cast(null as varchar) as pm_value,
        cast(null as varchar) as erp_value, 'erp' as record_owner, 'erp' as fix_side
    from pairs
    cross join mapped
    where mapped.segments and nullif(trim(erp_gl_segment), '') is null

),

found as (

    -- PM creates projects: one missing in the ERP is to be sent, one only there was entered in the wrong place.
    select
        case side when 'pm' then 'J1:' else 'J1:erp:' end || record_id as exception_key,
        case when side = 'pm' then record_id end as pm_id,
        case when side = 'erp' then record_id end as erp_id,
        number,
        name,
        reason,
        cast(null as varchar) as field,
        case when side = 'pm' then coalesce(name, number) end as pm_value,
        case when side = 'erp' then coalesce(name, number) end as erp_value,
        'pm' as record_owner,
        side as fix_side,
        occurred_at
    from one_sided

    union all

    select
        'J1:' || pm_id || ':' || erp_id || ':' || field as exception_key,
        pm_id,
        erp_id,
        number,
        name,
        reason,
        field,
        pm_value,
        erp_value,
        record_owner,
        fix_side,
        cast(null as timestamp with time zone) as occurred_at
    from fields

)

select
    exception_key,
    coalesce(pm_id, erp_id) as project_id,
    number as project_number,
    pm_id,
    erp_id,
    coalesce(number, pm_id, erp_id) || coalesce(' ' || field, '') as label,
    'project ' || coalesce(number, pm_id, erp_id) ||
        case reason
            when 'only_in_pm' then ' is in PM and not in the ERP'
            when 'only_in_erp' then ' is in the ERP and not in PM'
            when 'gl_coding_absent' then ' has no ledger coding in the ERP'
            else ': ' || field || ' is ' || coalesce(pm_value, 'not told') || ' in PM and ' || coalesce(erp_value, 'not told') || ' in the ERP'
        end as detail,
    pm_value,
    erp_value,
    cast(0 as decimal(18,2)) as amount_at_risk,
    setting_text('currency') as currency,
    occurred_at,
    case when reason = 'only_in_erp' then 'entered on the wrong side' else 'unknown' end as cause,
    cast(null as varchar) as explained_by,
    record_owner,
    fix_side,
    reason,
    field,
    number,
    name
from found
