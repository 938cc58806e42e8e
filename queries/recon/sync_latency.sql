-- title:    Hours from one side to the other
-- check:    L1
-- kind:     summary
-- entity:   change_orders
-- scope:    firm
-- record_owner: pm
-- fix_side: pm
-- version:  1
-- risk:     none: a measure
-- question: How long does an approval take to reach the ERP, and a payment to reach PM?
-- grain:    one row per entity and direction
-- fix:      link.sync_latencies has the records behind it; S1 and S2 those that wait.
-- columns:
--   entity             entity of the canonical model
--   direction          pm_to_erp or erp_to_pm
--   record_count       records whose crossing was observed
--   at_least_p50       hours that half of them took at least
--   p50                hours that half of them took at most
--   p90                nine in ten
--   p99                99 in a hundred

with ranked as (

    select
        entity,
        direction,
        at_least,
        at_most,
        row_number() over (partition by entity, direction order by at_most) as place,
        row_number() over (partition by entity, direction order by at_least) as least_place,
        count(*) over (partition by entity, direction) as record_count
    from link.sync_latencies

)

-- The smallest value that so many in a hundred do not exceed: of ten records the p90 is the ninth.
select
    entity,
    direction,
    count(*) as record_count,
    min(case when least_place * 100 >= record_count * 50 then at_least end) as at_least_p50,
    min(case when place * 100 >= record_count * 50 then at_most end) as p50,
    min(case when place * 100 >= record_count * 90 then at_most end) as p90,
    min(case when place * 100 >= record_count * 99 then at_most end) as p99
from ranked
group by entity, direction
order by entity, direction
