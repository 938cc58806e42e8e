-- title:    Vendor counts that every commit keeps
-- kind:     measure
-- entity:   vendors
-- question: How many vendors does each side hold as of now? trend.vendor_counts has the months.
-- grain:    one row per measure and side
-- columns:
--   field              all, active, inactive, linked, unlinked, in_use, in_use_unlinked
--   side               pm or erp
--   value              vendors
--   of_value           all vendors of that side

with counts as (

    select measure, pm_count, erp_count from recon.vendor_counts

),

totals as (

    select
        max(case when measure = 'all' then pm_count end) as pm_count,
        max(case when measure = 'all' then erp_count end) as erp_count
    from counts

)

select counts.measure as field, 'pm' as side, counts.pm_count as value, totals.pm_count as of_value
from counts
cross join totals

union all

select counts.measure as field, 'erp' as side, counts.erp_count as value, totals.erp_count as of_value
from counts
cross join totals
