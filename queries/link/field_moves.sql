-- title:    Moves of owned fields of records that are still linked
-- question: Which owned field of which linked record moved, on which side, and did the other side hold another value then?
-- grain:    one row per linked pair, field, side and commit that first shows the move
-- columns:
--   entity             entity of the canonical model
--   field              the field
--   record_owner       pm or erp: the side that owns it (recon.ownership)
--   side               pm or erp: the side on which it moved
--   pm_id              PM's record id
--   erp_id             the ERP's record id
--   label              what people call the record
--   old_value          what it was
--   new_value          what it became
--   old_key            the same as compared: without case, spaces and punctuation
--   new_key            the same as compared
--   other_value        what the other side held when the move was first seen
--   other_key          the same as compared
--   moved_at           when, by the source's own time, UTC; null where it does not tell
--   commit_number      the commit that first shows it
--   observed_at        of that commit
--   project_id         PM's record id of the project; null = firm level
--   project_number     PM's number of the project
--   newest             1 = the newest move of the field on either side; two sides may move between the same two commits
--   side_count         sides that moved it between the same two commits
--   timed_count        of those, how many by a time that the source told
--   first_key          what the side held before its move before this one
--   first_other_key    what the other side held at that move

select
    moves.entity,
    moves.field,
    moves.record_owner,
    moves.side,
    moves.pm_id,
    moves.erp_id,
    moves.label,
    moves.old_value,
    moves.new_value,
    moves.old_key,
    moves.new_key,
    moves.other_value,
    moves.other_key,
    moves.moved_at,
    moves.commit_number,
    commits.observed_at,
    case when moves.side = 'pm' then moves.project_id else job_links.pm_id end as project_id,
    jobs.number as project_number,
    cast(
        dense_rank() over (
            partition by moves.entity, moves.pm_id, moves.erp_id, moves.field order by moves.commit_number desc
        ) as bigint
    ) as newest,
    count(*) over (partition by moves.entity, moves.pm_id, moves.erp_id, moves.field, moves.commit_number) as side_count,
    count(moves.moved_at) over (
        partition by moves.entity, moves.pm_id, moves.erp_id, moves.field, moves.commit_number
    ) as timed_count,
    lag(moves.old_key) over (
        partition by moves.entity, moves.pm_id, moves.erp_id, moves.field, moves.side order by moves.commit_number
    ) as first_key,
    lag(moves.other_key) over (
        partition by moves.entity, moves.pm_id, moves.erp_id, moves.field, moves.side order by moves.commit_number
    ) as first_other_key
from system.field_moves as moves
inner join meta.commits as commits on commits.commit_number = moves.commit_number
inner join link.pairs as links on
    links.entity = moves.entity and
    links.pm_id = moves.pm_id and
    links.erp_id = moves.erp_id
left join (
    select erp_id, min(pm_id) as pm_id from link.projects group by erp_id
) as job_links on
    moves.side = 'erp' and
    job_links.erp_id = moves.project_id
left join pm.projects as jobs on
    jobs.record_id = case when moves.side = 'pm' then moves.project_id else job_links.pm_id end
