-- title:    What stored ids meant before
-- question: Which records store an id that meant another record before, by their own story or that of the id?
-- grain:    one row per record that stores such an id: its newest move
-- columns:
--   entity             entity of the canonical model
--   side               pm or erp: the side that stores the id
--   record_id          the record that holds it
--   reason             pointed_elsewhere: the record stored another id; held_by_another: another record stored this id
--   former_id          pointed_elsewhere: what it was linked to; held_by_another: the record that was linked there
--   moved_commit       the commit that first shows the change

with records as (

    select entity, side, source, record_id, own_key(source, record_id) as key, upper(trim(number)) as number
    from shared.linkable_records
    where coalesce(approval_status, 'pending') not in ('void', 'rejected')

),

names as (

    select entity, side, source, record_id, upper(key) as name from records
    union
    select entity, side, source, record_id, upper(split_part(key, '|', -1)) as name from records
    union
    select entity, side, source, record_id, number as name from records where number <> ''

),

links as (

    select entity, 'pm' as side, pm_id as record_id, erp_id as partner_id from link.pairs
    union
    select entity, 'erp' as side, erp_id as record_id, pm_id as partner_id from link.pairs

),

moves as (

    select entity, side, record_id, upper(trim(old_id)) as old_id, commit_number,
        row_number() over (partition by entity, side, record_id order by commit_number desc) as newest
    from system.stored_id_moves

),

formerly as (

    select ids.entity, ids.side, ids.record_id, moves.commit_number, names.record_id as former_id, 'pointed_elsewhere' as reason
    from link.stored_ids as ids
    inner join moves on
        moves.entity = ids.entity and
        moves.side = ids.side and
        moves.record_id = ids.record_id and
        moves.newest = 1
    inner join names on
        names.entity = ids.entity and
        names.side <> ids.side and
        names.name = moves.old_id and
        coalesce(names.source = ids.partner_source, true)
    left anti join links on
        links.entity = ids.entity and
        links.side = ids.side and
        links.record_id = ids.record_id and
        links.partner_id = names.record_id

    union all

    select ids.entity, ids.side, ids.record_id, moves.commit_number, moves.record_id as former_id, 'held_by_another' as reason
    from link.stored_ids as ids
    inner join moves on
        moves.entity = ids.entity and
        moves.side = ids.side and
        moves.record_id <> ids.record_id and
        moves.old_id = upper(ids.stored_id)
    left semi join records on
        records.entity = moves.entity and
        records.side = moves.side and
        records.record_id = moves.record_id and
        coalesce(records.source = ids.source, true)

),

ranked as (

    select *, row_number() over (partition by entity, side, record_id order by commit_number desc, reason desc, former_id) as place
    from formerly

)

select entity, side, record_id, reason, former_id, commit_number as moved_commit
from ranked
where place = 1
