-- title:    The connector's scorecard, by month
-- question: How well does the integration keep each kind of data in step?
-- grain:    one row per month and entity that a check is about
-- columns:
--   month              first day of the month
--   entity             what it is about
--   direction          pm_to_erp, erp_to_pm or both, as recon.ownership says
--   check_count        checks about it
--   silent_count       of these, those that could not speak, or only in part
--   open_count         exceptions open at the month's commit; null where no check could speak
--   waived_count       waived then
--   opened_count       opened in the month, again or for the first time
--   closed_count       closed in the month
--   amount_at_risk     money of the open ones that no other open one explains
--   median_days        half of those that closed had been open for at most so many days
--   arrived_count      records that reached the ERP in the month
--   p50_hours          half of them at most so many hours after their approval
--   p90_hours          nine tenths

with directions as (

    select entity, max(direction) as direction
    from recon.ownership
    where field = '*'
    group by entity

),

counted as (

    select
        counts.month,
        checks.entity,
        count(*) as check_count,
        count(case when counts.verdict in ('not_evaluated', 'partial') then 1 end) as silent_count,
        sum(counts.open_count) as open_count,
        sum(counts.waived_count) as waived_count,
        sum(counts.opened_count + counts.reopened_count) as opened_count,
        sum(counts.closed_count) as closed_count,
        sum(counts.amount_at_risk) as amount_at_risk
    from trend.exceptions_by_month as counts
    inner join meta.checks as checks on checks.check_id = counts.check_id
    where counts.verdict <> 'not_applicable'
    group by counts.month, checks.entity

),

closed as (

    select
        moves.month,
        checks.entity,
        moves.days_open,
        row_number() over (partition by moves.month, checks.entity order by moves.days_open) as place,
        count(*) over (partition by moves.month, checks.entity) as closed_count
    from trend.moves_by_month as moves
    inner join meta.checks as checks on checks.check_id = moves.check_id
    where moves.move = 'closed'

),

healed as (

    select month, entity, min(case when place * 2 >= closed_count then days_open end) as median_days
    from closed
    group by month, entity

)

select
    counted.month,
    counted.entity,
    directions.direction,
    counted.check_count,
    counted.silent_count,
    cast(counted.open_count as bigint) as open_count,
    cast(counted.waived_count as bigint) as waived_count,
    cast(counted.opened_count as bigint) as opened_count,
    cast(counted.closed_count as bigint) as closed_count,
    cast(counted.amount_at_risk as decimal(18,2)) as amount_at_risk,
    healed.median_days,
    latency.arrived_count,
    latency.p50_hours,
    latency.p90_hours
from counted
left join directions on directions.entity = counted.entity
left join healed on
    healed.month = counted.month and
    healed.entity = counted.entity
left join trend.sync_latency as latency on
    latency.month = counted.month and
    latency.entity = counted.entity
order by counted.month, counted.entity
