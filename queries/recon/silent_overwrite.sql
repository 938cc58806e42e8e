-- title:    Changes that were silently undone
-- check:    W3
-- entity:   vendors
-- scope:    firm
-- version:  1
-- risk:     none: both sides agree again, and somebody's change is gone
-- question: Where was a field changed on one side and set back to what the other side held all the time?
-- grain:    one row per linked pair, field and change that was undone
-- parameters: overwrite_days = 30
-- fix:      Ask who made the change. If it was right, enter it on the side that owns the field (recon.ownership) and sync.
-- columns:
--   field              the field
--   moved_side         the side that moved
--   old_value          the change that is gone
--   new_value          what stands again, as on the other side
--   moved_commit       the commit that first shows it
--   evidence           observed: the other side did not move

with undone as (

    -- A -> B -> A on one side, A on the other both times. Somebody who corrects a slip of his own looks the same: the
    -- number of days for which it is listed is a setting.
    select moves.*
    from link.field_moves as moves
    cross join meta.clock
    where
        moves.newest = 1 and
        moves.side_count = 1 and
        moves.first_key = moves.new_key and
        moves.other_key = moves.new_key and
        moves.first_other_key = moves.new_key and
        to_unixtime(clock.observed_at) - to_unixtime(moves.observed_at) < setting_integer('overwrite_days') * 86400

)

select
    'W3:' || entity || ':' || pm_id || ':' || erp_id || ':' || field || ':' || cast(commit_number as varchar) as exception_key,
    entity,
    project_id,
    project_number,
    pm_id,
    erp_id,
    label || ' ' || field as label,
    field || ' of ' || label || ' was changed in ' || case when side = 'pm' then 'PM' else 'the ERP' end ||
        case
            -- The hash of a tax identifier says nothing to a person.
            when field = 'tax_id_hash' then ' and set back'
            else ' to ' || coalesce(old_value, 'not told') || ' and set back to ' || coalesce(new_value, 'not told')
        end as detail,
    case when side = 'pm' then new_value else other_value end as pm_value,
    case when side = 'pm' then other_value else new_value end as erp_value,
    cast(0 as decimal(18,2)) as amount_at_risk,
    setting_text('currency') as currency,
    observed_at as occurred_at,
    record_owner,
    side as fix_side,
    'overwritten by re-sync' as cause,
    cast(null as varchar) as explained_by,
    field,
    side as moved_side,
    old_value,
    new_value,
    commit_number as moved_commit,
    'observed' as evidence
from undone
