-- title:    Who moved last
-- question: Which side's change made an exception, in which commit, by whom, and was it the side that owns the field?
-- grain:    one row per open or waived exception
-- columns:
--   check_id           the check
--   exception_key      the exception
--   entity             what it is about
--   project_id         PM's record id of the project; null = firm level
--   label              what people call it
--   moved_side         the side that moved last: pm or erp; null where nobody saw a move
--   field              the field that moved; null for a record that is missing on the other side
--   old_value          what it was
--   new_value          what it became
--   moved_commit       the commit that first shows it
--   moved_at           when the source says it changed, else as of when the commit's data is true, UTC
--   moved_by           by whom, where the source tells
--   is_owner           the side that moved owns the field
--   evidence           observed (the sides moved in different commits), by_source_time (in one commit, both times known) or
--                      unknown (nobody saw a move, as with a difference that the first snapshot held already)

with exceptions as (

    select check_id, exception_key, entity, project_id, pm_id, erp_id, label, record_owner
    from system.exceptions
    where state <> 'in_flight'

),

-- An exception about one field names it at the end of its key; one about payments follows from what was paid, one about other
-- amounts from any of them. Of fields that moved together it is the one that the key names, else the first by name.
moves as (

    select
        exceptions.check_id, exceptions.exception_key, moved.side, moved.field, moved.record_owner,
        moved.old_value, moved.new_value, moved.commit_number, moved.moved_at, moved.moved_by,
        row_number() over (
            partition by exceptions.check_id, exceptions.exception_key
            order by moved.commit_number desc, moved.moved_at desc nulls last, moved.side,
                case when moved.field like split_part(exceptions.exception_key, ':', -1) || '%' then 0 else 1 end, moved.field
        ) as place,
        count(*) over together > 1 as is_shared,
        count(moved.moved_at) over together > 1 as is_timed
    from exceptions
    inner join system.field_moves as moved on
        moved.entity = exceptions.entity and
        moved.pm_id = exceptions.pm_id and
        moved.erp_id = exceptions.erp_id
    where
        split_part(exceptions.exception_key, ':', -1) in (replace(moved.field, 'tax_id_hash', 'tax_id'), replace(moved.field, '_amount', '')) or
        (moved.field in ('paid_amount', 'open_balance', 'paid_at') and exceptions.check_id like 'P%') or
        (
            moved.field like '%_amount' and
            moved.field not in ('paid_amount', 'open_balance') and
            exceptions.check_id not like 'V%' and
            exceptions.check_id not like 'P%' and
            split_part(exceptions.exception_key, ':', -1) not in ('gross', 'retainage', 'tax', 'net')
        )
    window together as (partition by exceptions.check_id, exceptions.exception_key, moved.field, moved.commit_number)

),

-- A record that only one side has: it came to be there, unless the first snapshot held it already.
appeared as (

    select
        exceptions.check_id, exceptions.exception_key,
        min(statuses.first_seen_at) as first_seen_at, min(commits.commit_number) as commit_number
    from exceptions
    inner join system.record_statuses as statuses on
        statuses.entity = exceptions.entity and
        statuses.record_id = coalesce(exceptions.pm_id, exceptions.erp_id)
    inner join meta.commits as commits on
        commits.observed_at = statuses.first_seen_at and
        commits.commit_number > 1
    where exceptions.pm_id is null or exceptions.erp_id is null
    group by exceptions.check_id, exceptions.exception_key

)

select
    exceptions.check_id, exceptions.exception_key,
    exceptions.entity, exceptions.project_id, exceptions.label,
    case
        when moves.side is not null then moves.side
        when appeared.commit_number is null then null
        when exceptions.erp_id is null then 'pm'
        else 'erp'
    end as moved_side,
    moves.field, moves.old_value, moves.new_value,
    coalesce(moves.commit_number, appeared.commit_number) as moved_commit,
    coalesce(moves.moved_at, commits.observed_at, appeared.first_seen_at) as moved_at,
    moves.moved_by,
    case
        when moves.side is not null then moves.side = moves.record_owner
        when appeared.commit_number is null then null
        else case when exceptions.erp_id is null then 'pm' else 'erp' end = exceptions.record_owner
    end as is_owner,
    case
        when moves.side is null and appeared.commit_number is null then 'unknown'
        when not coalesce(moves.is_shared, false) then 'observed'
        when moves.is_timed then 'by_source_time'
        else 'unknown'
    end as evidence
from exceptions
left join moves on
    moves.check_id = exceptions.check_id and
    moves.exception_key = exceptions.exception_key and
    moves.place = 1
left join appeared on
    appeared.check_id = exceptions.check_id and
    appeared.exception_key = exceptions.exception_key
left join meta.commits as commits on commits.commit_number = moves.commit_number
