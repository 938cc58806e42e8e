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

with projects as (

    select 'pm' as side, * from pm.projects
    union all
    select 'erp' as side, * from erp.projects

),

-- A project that is not active any more needs no counterpart, nor one that is still bid for. The ERP's own jobs (overhead, shop) have
-- no customer. PM creates projects: one missing in the ERP is to be sent, one only there was entered in the wrong place.
one_sided as (

    select
        case side when 'pm' then 'J1:' else 'J1:erp:' end || record_id as exception_key,
        case when side = 'pm' then record_id end as pm_id, case when side = 'erp' then record_id end as erp_id,
        number, name, 'only_in_' || side as reason, cast(null as varchar) as field,
        case when side = 'pm' then coalesce(name, number) end as pm_value,
        case when side = 'erp' then coalesce(name, number) end as erp_value,
        'pm' as record_owner, side as fix_side, coalesce(created_at, end_of_day(start_date)) as occurred_at
    from projects
    left anti join link.projects as pm_links on projects.side = 'pm' and pm_links.pm_id = projects.record_id
    left anti join link.projects as erp_links on projects.side = 'erp' and erp_links.erp_id = projects.record_id
    where
        coalesce(is_active, true) and
        case side
            when 'pm' then coalesce(approval_status, 'approved') not in ('draft', 'rejected', 'void')
            else customer_id is not null
        end

),

said as (

    select projects.side, coalesce(projects.source, '') as source, projects.record_id, projects.number, projects.name,
        fields.field, fields.record_owner, fields.fix_side,
        case fields.field
            when 'name' then name when 'is_active' then cast(is_active as varchar)
            when 'entity_code' then entity_code when 'gl_segment' then gl_segment
        end as value
    from projects
    cross join (
        values ('name', 'pm', 'erp'), ('is_active', 'pm', 'erp'), ('entity_code', 'erp', 'pm'), ('gl_segment', 'erp', 'erp')
    ) as fields (field, record_owner, fix_side)

),

-- What a connection tells of no project is not mapped there, and not comparable. The ledger coding is the ERP's alone.
told as (

    select side, source, field from said where value is not null group by side, source, field

),

differing as (

    select
        'J1:' || links.pm_id || ':' || links.erp_id || ':' || pm_side.field as exception_key, links.pm_id, links.erp_id,
        pm_side.number, pm_side.name,
        case pm_side.field when 'gl_segment' then 'gl_coding_absent' else 'differs' end as reason, pm_side.field,
        case when pm_side.field <> 'gl_segment' then pm_side.value end as pm_value,
        case when pm_side.field <> 'gl_segment' then erp_side.value end as erp_value,
        pm_side.record_owner, pm_side.fix_side, cast(null as timestamp with time zone) as occurred_at
    from link.projects as links
    inner join said as pm_side on pm_side.side = 'pm' and pm_side.record_id = links.pm_id
    inner join said as erp_side on erp_side.side = 'erp' and erp_side.record_id = links.erp_id and erp_side.field = pm_side.field
    left semi join told as erp_told on
        erp_told.side = 'erp' and erp_told.source = erp_side.source and erp_told.field = erp_side.field
    left join told as pm_told on pm_told.side = 'pm' and pm_told.source = pm_side.source and pm_told.field = pm_side.field
    where (pm_side.field = 'gl_segment' or pm_told.field is not null) and case pm_side.field
        when 'gl_segment' then nullif(trim(erp_side.value), '') is null
        when 'name' then upper(regexp_replace(trim(pm_side.value), '\s+', ' ', 'g'))
            is distinct from upper(regexp_replace(trim(erp_side.value), '\s+', ' ', 'g'))
        else upper(trim(pm_side.value)) is distinct from upper(trim(erp_side.value))
    end

)

select
    exception_key, coalesce(pm_id, erp_id) as project_id, number as project_number, pm_id, erp_id,
    coalesce(number, pm_id, erp_id) || coalesce(' ' || field, '') as label,
    'project ' || coalesce(number, pm_id, erp_id) ||
        case reason
            when 'only_in_pm' then ' is in PM and not in the ERP'
            when 'only_in_erp' then ' is in the ERP and not in PM'
            when 'gl_coding_absent' then ' has no ledger coding in the ERP'
            else ': ' || field || ' is ' || coalesce(pm_value, 'not told') || ' in PM and ' || coalesce(erp_value, 'not told') || ' in the ERP'
        end as detail,
    pm_value, erp_value,
    cast(0 as decimal(18,2)) as amount_at_risk, setting_text('currency') as currency,
    occurred_at,
    case when reason = 'only_in_erp' then 'entered on the wrong side' else 'unknown' end as cause,
    cast(null as varchar) as explained_by,
    record_owner, fix_side,
    reason, field, number, name
from (select * from one_sided union all select * from differing) as found
