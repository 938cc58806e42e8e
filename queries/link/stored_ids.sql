-- title:    Foreign ids that a side stores
-- question: What does each stored id point at, and does a link rest on it?
-- grain:    one row per record with a stored id
-- columns:
--   entity             entity of the canonical model
--   side               pm or erp: the side that stores the id
--   record_id          the record that holds it
--   project_id         PM's record id of the project; null = firm level
--   label              what people call the record
--   stored_id          the id as stored
--   amount             the record's amount
--   currency           of the amount
--   is_void            void or rejected
--   target_count       records of the other side that it names
--   holder_count       living records of this side and entity that store it
--   is_linked          the record is linked, by whatever method
--   source             the connection that stores it
--   is_foreign         none of the ids of its connection and entity, five or more, names anything: they are keys of another system, and its
--                      records are linked by what they are called
--   partner_source     the connection of the other side that it can only mean; null = any

-- An id of a kind of record that no source of the other side tells names nothing that anybody could find.
with connections as (

    select 'pm' as side, pm_id as project_id, case when min(erp_source) = max(erp_source) then min(erp_source) end as partner_source
    from shared.pm_connections
    group by pm_id
    union all
    select 'erp' as side, erp_id as project_id, pm_source as partner_source from shared.erp_connections

),

records as materialized (

    select records.*, own_key(records.source, records.record_id) as key,
        coalesce(connections.partner_source, case records.side when 'pm' then books_of(records.source) end) as partner_source
    from shared.linkable_records as records
    left join connections on connections.side = records.side and connections.project_id = records.project_id
    left anti join pm.change_orders as unknown on
        records.entity = 'change_orders' and
        records.side = 'pm' and
        unknown.record_id = records.record_id and
        (
            setting_list_contains('not_mapped', 'erp.change_orders.' || unknown.kind) or
            setting_list_contains('not_mapped', connections.partner_source || '.change_orders.' || unknown.kind)
        )
    -- Nor does one of an entity that the only connection it can mean does not tell.
    where not coalesce(setting_list_contains('not_mapped', connections.partner_source || '.' || records.entity), false)

),

linked as (

    select entity, 'pm' as side, pm_id as record_id from link.pairs
    union
    select entity, 'erp' as side, erp_id as record_id from link.pairs

),

-- A stored id may be the record's key, its number, or the last part of its key: '000123' is 'Bill|000123'. The same name twice counts once.
names as (

    select entity, side, source, record_id, upper(key) as name from records
    union all
    select entity, side, source, record_id, upper(trim(number)) as name from records where nullif(trim(number), '') is not null
    union all
    select entity, side, source, record_id, upper(split_part(key, '|', -1)) as name from records
    union all
    select entity, side, source, record_id, upper(replace(key, '|', spelt.separator)) as name
    from records
    cross join (values (' '), ('/'), ('-')) as spelt (separator)

),

holders as materialized (

    select
        *,
        upper(trim(linked_id)) as name,
        case side when 'pm' then 'erp' else 'pm' end as other_side,
        coalesce(approval_status in ('void', 'rejected'), false) as is_void,
        -- Each PM company has its own record of a vendor; a document that two store is one in the ERP that both name.
        sum(case when coalesce(approval_status, 'pending') in ('void', 'rejected') then 0 else 1 end) over (
            partition by entity, side, upper(trim(linked_id)), case when entity in ('vendors', 'customers') then source else partner_source end
        ) as holder_count
    from records
    where nullif(trim(linked_id), '') is not null

),

-- Where nothing is called so, zeros in front say nothing: a system whose keys are numbers calls 000123 123.
sought as (

    select entity, side, other_side, partner_source, record_id, name, true as is_exact from holders
    union all
    select entity, side, other_side, partner_source, record_id, ltrim(name, '0') as name, false as is_exact
    from holders
    where regexp_like(name, '^0+[1-9][0-9]*$')

),

targets as (

    select
        sought.entity, sought.side, sought.record_id,
        coalesce(
            nullif(count(distinct case when sought.is_exact then names.record_id end), 0),
            count(distinct names.record_id)
        ) as target_count
    from sought
    inner join names on
        names.entity = sought.entity and
        names.side = sought.other_side and
        names.name = sought.name and
        coalesce(names.source = sought.partner_source, true)
    group by sought.entity, sought.side, sought.record_id

)

select
    holders.entity,
    holders.side,
    holders.record_id,
    case when holders.side = 'erp' then coalesce(erp_projects.project_id, holders.project_id) else holders.project_id end as project_id,
    coalesce(holders.label, holders.record_id) as label,
    trim(holders.linked_id) as stored_id,
    holders.amount,
    holders.currency,
    holders.is_void,
    coalesce(targets.target_count, 0) as target_count,
    holders.holder_count,
    linked.record_id is not null as is_linked,
    holders.source,
    count(*) over connections >= 5 and coalesce(max(targets.target_count) over connections, 0) = 0 as is_foreign,
    holders.partner_source
from holders
left join targets on
    targets.entity = holders.entity and
    targets.side = holders.side and
    targets.record_id = holders.record_id
left join linked on
    linked.entity = holders.entity and
    linked.side = holders.side and
    linked.record_id = holders.record_id
left join link.erp_projects as erp_projects on erp_projects.erp_id = holders.project_id
window connections as (partition by holders.entity, holders.side, holders.source)
