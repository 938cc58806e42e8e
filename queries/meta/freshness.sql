-- title:    How old each table is
-- question: When was each table last read completely, and what stands in the way?
-- grain:    one row per source and table
-- columns:
--   source             the connection
--   table_name         its table
--   scope_count        scopes (projects, contracts) that it was read in
--   complete_count     scopes whose last read was complete
--   oldest_complete_at the oldest of the scopes' last complete reads, UTC; null if a scope never was
--   hours_old          whole hours from there to the commit's observed_at
--   row_count          rows received at the last reads

select
    coverage.source,
    coverage.table_name,
    count(*) as scope_count,
    count(case when coverage.status in ('ok', 'empty_verified') then 1 end) as complete_count,
    case when count(coverage.complete_at) = count(*) then min(coverage.complete_at) end as oldest_complete_at,
    case
        when count(coverage.complete_at) = count(*) then
            (max(to_unixtime(clock.observed_at)) - min(to_unixtime(coverage.complete_at))) / 3600
    end as hours_old,
    sum(coverage.row_count) as row_count
from system.coverage as coverage
cross join meta.clock
group by coverage.source, coverage.table_name
