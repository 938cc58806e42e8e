-- title:    Vendor counts on both sides
-- check:    V0
-- kind:     summary
-- entity:   vendors
-- scope:    firm
-- record_owner: erp
-- fix_side: pm
-- version:  1
-- risk:     none: a count
-- question: How many vendors does each side hold, how many are linked, and how many are used?
-- grain:    one row per measure
-- fix:      Look at V1 for the vendors behind the difference.
-- columns:
--   position           order of the measures
--   measure            all, active, inactive, linked, unlinked, in_use, in_use_unlinked
--   pm_count           vendors in PM
--   erp_count          vendors in the ERP
--   difference         PM minus ERP

with linked_pm as (

    select distinct pm_id from link.vendors

),

linked_erp as (

    select distinct erp_id from link.vendors

),

erp_use as (

    select vendor_id
    from erp.commitments
    where coalesce(approval_status, 'pending') not in ('void', 'rejected')

    union

    select vendor_id
    from erp.vendor_invoices
    where coalesce(approval_status, 'pending') not in ('void', 'rejected')

),

-- A vendor whose system tells no flag counts as active.
both as (

    select
        'pm' as side,
        coalesce(vendors.is_active, true) as is_active,
        linked_pm.pm_id is not null as is_linked,
        vendor_use.vendor_id is not null as is_used
    from pm.vendors
    left join linked_pm on linked_pm.pm_id = vendors.record_id
    left join link.vendor_use on vendor_use.vendor_id = vendors.record_id

    union all

    select
        'erp' as side,
        coalesce(vendors.is_active, true) as is_active,
        linked_erp.erp_id is not null as is_linked,
        erp_use.vendor_id is not null as is_used
    from erp.vendors
    left join linked_erp on linked_erp.erp_id = vendors.record_id
    left join erp_use on erp_use.vendor_id = vendors.record_id

),

-- The measures come first, so that a side without vendors counts 0 and not nothing.
counted as (

    select
        measures.position,
        measures.measure,
        both.side,
        case measures.measure
            when 'all' then true
            when 'active' then both.is_active
            when 'inactive' then not both.is_active
            when 'linked' then both.is_linked
            when 'unlinked' then not both.is_linked
            when 'in_use' then both.is_used
            when 'in_use_unlinked' then both.is_used and not both.is_linked
        end as counts
    from (
        values
            (1, 'all'), (2, 'active'), (3, 'inactive'), (4, 'linked'), (5, 'unlinked'), (6, 'in_use'), (7, 'in_use_unlinked')
    ) as measures (position, measure)
    left join both on true

)

select
    position,
    measure,
    count(case when side = 'pm' and counts then 1 end) as pm_count,
    count(case when side = 'erp' and counts then 1 end) as erp_count,
    count(case when side = 'pm' and counts then 1 end) - count(case when side = 'erp' and counts then 1 end) as difference
from counted
group by position, measure
order by position
