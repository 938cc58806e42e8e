-- title:    Moves of owned fields of records that are still linked
-- What W1, W2 and W3 have in common. One row per move: see system.field_moves.

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
    -- 1 is the newest move of the field on either side; two sides may have moved between the same two commits.
    dense_rank() over (
        partition by moves.entity, moves.pm_id, moves.erp_id, moves.field order by moves.commit_number desc
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
