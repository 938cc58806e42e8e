-- title:    How long records take from one side to the other
-- question: Between which two moments did each approved record reach the ERP, and each ERP payment reach PM?
-- grain:    one row per linked record whose crossing was observed
-- columns:
--   entity             entity of the canonical model
--   direction          pm_to_erp or erp_to_pm
--   pm_id              PM's record id
--   erp_id             the ERP's record id
--   from_at            approved in PM, or paid in the ERP, UTC
--   at_least           hours from then to the last commit that did not see it on the other side; never negative
--   at_most            hours from then to the first commit that did

with seen as (

    -- By source: PM may have given one of its records the id that the ERP gave to another.
    select entity, source, record_id, min(first_seen_at) as seen_at
    from system.record_statuses
    group by entity, source, record_id

),

-- The commit before: what was not yet there then. What the first commit saw may have been there for years.
looks as (

    select observed_at, lag(observed_at) over (order by observed_at) as looked_before
    from (select distinct observed_at from meta.commits) as commits

),

crossed as (

    select
        approved.entity,
        'pm_to_erp' as direction,
        approved.pm_id,
        approved.erp_id,
        approved.approved_at as from_at,
        (to_unixtime(looks.looked_before) - to_unixtime(approved.approved_at)) / 3600 as at_least,
        (to_unixtime(seen.seen_at) - to_unixtime(approved.approved_at)) / 3600 as at_most
    from shared.linked_approvals as approved
    inner join seen on
        seen.entity = approved.entity and
        seen.source = approved.erp_source and
        seen.record_id = approved.erp_id
    inner join looks on looks.observed_at = seen.seen_at and looks.looked_before is not null
    where approved.approved_at is not null and coalesce(approved.approved_at_basis, 'unknown') <> 'unknown'

    union all

    -- PM says itself when the payment was entered there.
    select
        'payments' as entity,
        'erp_to_pm' as direction,
        links.pm_id,
        links.erp_id,
        end_of_day(erp_side.payment_date) as from_at,
        (to_unixtime(pm_side.created_at) - to_unixtime(end_of_day(erp_side.payment_date))) / 3600 as at_least,
        (to_unixtime(pm_side.created_at) - to_unixtime(end_of_day(erp_side.payment_date))) / 3600 as at_most
    from link.payments as links
    inner join pm.payments as pm_side on pm_side.record_id = links.pm_id
    inner join erp.payments as erp_side on erp_side.record_id = links.erp_id
    where pm_side.created_at is not null and erp_side.payment_date is not null

)

select
    entity,
    direction,
    pm_id,
    erp_id,
    from_at,
    greatest(at_least, 0) as at_least,
    greatest(at_most, 0) as at_most
from crossed
