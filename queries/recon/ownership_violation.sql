-- title:    Fields changed on the side that does not own them
-- check:    W1
-- entity:   vendors
-- scope:    firm
-- version:  1
-- risk:     none of its own: the check that compares the field counts what the difference is worth
-- question: Where did the mirror of a field move away from its owner's value?
-- grain:    one row per linked pair and field whose newest move was the mirror's
-- fix:      Set the field back on the side that moved, or change it on the side that owns it (recon.ownership) and sync.
-- columns:
--   field              the field
--   moved_side         the side that moved
--   old_value          what it was there
--   new_value          what it became
--   moved_commit       the commit that first shows it
--   evidence           observed: the owner did not move between the same two commits

with violations as (

    -- A difference that was there when both were first seen is nobody's violation: it moved before we looked.
    select *
    from link.field_moves
    where
        newest = 1 and
        side_count = 1 and
        side <> record_owner and
        -- What a system stopped telling is no value of its own.
        new_value is not null and
        (new_key is distinct from other_key)

)

select
    'W1:' || entity || ':' || pm_id || ':' || erp_id || ':' || field as exception_key,
    entity,
    project_id,
    project_number,
    pm_id,
    erp_id,
    label || ' ' || field as label,
    field || ' of ' || label || ' changed in ' || case when side = 'pm' then 'PM' else 'the ERP' end ||
        case
            -- The hash of a tax identifier says nothing to a person.
            when field = 'tax_id_hash' then ''
            else
                ' from ' || coalesce(old_value, 'not told') || ' to ' || coalesce(new_value, 'not told') || '; ' ||
                case when side = 'pm' then 'the ERP' else 'PM' end || ' owns it and says ' || coalesce(other_value, 'not told')
        end as detail,
    case when side = 'pm' then new_value else other_value end as pm_value,
    case when side = 'pm' then other_value else new_value end as erp_value,
    cast(0 as decimal(18,2)) as amount_at_risk,
    setting_text('currency') as currency,
    coalesce(moved_at, observed_at) as occurred_at,
    record_owner,
    side as fix_side,
    'entered on the wrong side' as cause,
    cast(null as varchar) as explained_by,
    field,
    side as moved_side,
    old_value,
    new_value,
    commit_number as moved_commit,
    'observed' as evidence
from violations
