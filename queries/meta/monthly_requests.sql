-- title:    Requests of each month beside what the subscription holds
-- question: How much of what the source counts by the month have our runs used?
-- grain:    one row per source and month (UTC)
-- columns:
--   source             the connection
--   month              first day of the month
--   run_count          runs that ended in a commit
--   request_count      requests of these runs, sign-ins and repeated ones among them
--   allowance          requests that the subscription holds in a month; null if nobody said
--   percent_used       of the allowance, rounded up to whole percents

with months as (

    select source, cast(date_trunc('month', started_at) as date) as month, count(*) as run_count, sum(request_count) as request_count
    from meta.runs
    where started_at is not null
    group by 1, 2

),

-- What holds in a month; what is told beside it holds in an hour or less. A tier that changed counts as the last run had it.
allowances as (

    select source, max(limit_requests) as allowance
    from system.rate_limits
    where window_seconds >= 2592000
    group by source

)

select
    months.source,
    months.month,
    months.run_count,
    months.request_count,
    allowances.allowance,
    (months.request_count * 100 + allowances.allowance - 1) / nullif(allowances.allowance, 0) as percent_used
from months
left join allowances on allowances.source = months.source
