-- title:    Fields changed on both sides at once
-- check:    W2
-- entity:   vendors
-- scope:    firm
-- version:  2
-- risk:     none of its own: the check that compares the field counts what the difference is worth
-- question: Where did both sides move a field to different values between two commits?
-- grain:    one row per linked pair and field
-- grace:    24 hours
-- fix:      Decide which value is right, enter it on the side that owns the field (recon.ownership) and sync.
-- columns:
--   field              the field
--   moved_side         the side that moved last by the sources' own times; null where they do not tell
--   old_value          what it was on the side that does not own it
--   new_value          what it became there
--   moved_commit       the commit that first shows it
--   evidence           by_source_time where both sources told when, else unknown

-- A mirror that follows one step behind is in sync, only late: ERP 100 → 120 while PM goes 120 → 150. So is one whose owner moved
-- within the last day, which the mirror has to follow.
with mirrors as (

    select *
    from link.field_moves
    where
        newest = 1 and
        side_count = 2 and
        side <> record_owner and
        -- What a system stopped telling is no value of its own.
        new_value is not null and
        (new_key is distinct from other_key)

),

owners as (

    select entity, pm_id, erp_id, field, commit_number, moved_at, old_key
    from link.field_moves
    where side = record_owner

)

select
    'W2:' || mirrors.entity || ':' || mirrors.pm_id || ':' || mirrors.erp_id || ':' || mirrors.field as exception_key,
    mirrors.entity,
    mirrors.project_id,
    mirrors.project_number,
    mirrors.pm_id,
    mirrors.erp_id,
    mirrors.label || ' ' || mirrors.field as label,
    mirrors.field || ' of ' || mirrors.label || ' changed on both sides between two looks' ||
        case
            -- The hash of a tax identifier says nothing to a person.
            when mirrors.field = 'tax_id_hash' then ''
            else
                ': ' || case when mirrors.side = 'pm' then 'PM' else 'the ERP' end || ' says ' ||
                coalesce(mirrors.new_value, 'not told') || ', ' ||
                case when mirrors.side = 'pm' then 'the ERP' else 'PM' end || ', which owns it, ' ||
                coalesce(mirrors.other_value, 'not told')
        end as detail,
    case when mirrors.side = 'pm' then mirrors.new_value else mirrors.other_value end as pm_value,
    case when mirrors.side = 'pm' then mirrors.other_value else mirrors.new_value end as erp_value,
    cast(0 as decimal(18,2)) as amount_at_risk,
    setting_text('currency') as currency,
    coalesce(mirrors.moved_at, mirrors.observed_at) as occurred_at,
    mirrors.record_owner,
    mirrors.side as fix_side,
    'unknown' as cause,
    cast(null as varchar) as explained_by,
    mirrors.field,
    case
        when mirrors.moved_at > owners.moved_at then mirrors.side
        when mirrors.moved_at < owners.moved_at then mirrors.record_owner
    end as moved_side,
    mirrors.old_value,
    mirrors.new_value,
    mirrors.commit_number as moved_commit,
    case when mirrors.timed_count = 2 then 'by_source_time' else 'unknown' end as evidence
from mirrors
left join owners on
    owners.entity = mirrors.entity and
    owners.pm_id = mirrors.pm_id and
    owners.erp_id = mirrors.erp_id and
    owners.field = mirrors.field and
    owners.commit_number = mirrors.commit_number
cross join meta.clock
where
    not (
        owners.commit_number is not null and
        (owners.old_key is not distinct from mirrors.new_key)
    ) and
    not coalesce(to_unixtime(clock.observed_at) - to_unixtime(owners.moved_at) < setting_integer('grace_hours_w2') * 3600, false)
