-- title:    How old the open exceptions are, by month
-- question: Are disagreements dealt with, or do they grow old?
-- grain:    one row per month, check and age bucket
-- columns:
--   month              first day of the month
--   check_id           the check
--   bucket             0-7, 8-30, 31-60, 61-90 or over 90 days
--   position           order of the buckets
--   verdict            what the check could say then; not_evaluated also if nothing was committed
--   open_count         open exceptions of that age at the month's commit; null if not evaluated
--   amount_at_risk     their money that no other open one explains

with buckets as (

    select position, bucket, from_days, upto_days
    from (
        values
            (1, '0-7', 0, 7), (2, '8-30', 8, 30), (3, '31-60', 31, 60), (4, '61-90', 61, 90), (5, 'over 90', 91, 1000000)
    ) as listed (position, bucket, from_days, upto_days)

),

grid as (

    select
        counted.month,
        counted.check_id,
        counted.verdict,
        counted.open_count is not null as is_told,
        buckets.position,
        buckets.bucket,
        buckets.from_days,
        buckets.upto_days
    from trend.exceptions_by_month as counted
    cross join buckets

),

standing as (

    select month, check_id, age_days, counted_amount
    from trend.open_by_month
    where state = 'open'

),

counted as (

    select
        standing.month,
        standing.check_id,
        buckets.position,
        count(*) as open_count,
        sum(standing.counted_amount) as amount_at_risk
    from standing
    inner join buckets on
        standing.age_days >= buckets.from_days and
        standing.age_days <= buckets.upto_days
    group by standing.month, standing.check_id, buckets.position

)

select
    grid.month,
    grid.check_id,
    grid.bucket,
    grid.position,
    grid.verdict,
    case when grid.is_told then coalesce(counted.open_count, 0) end as open_count,
    cast(case when grid.is_told then coalesce(counted.amount_at_risk, 0) end as decimal(18,2)) as amount_at_risk
from grid
left join counted on
    counted.month = grid.month and
    counted.check_id = grid.check_id and
    counted.position = grid.position
order by grid.month, grid.check_id, grid.position
