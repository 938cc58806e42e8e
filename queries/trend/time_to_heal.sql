-- title:    How long disagreements last, by month
-- question: How many days did the exceptions that closed in a month stay open?
-- grain:    one row per month and check
-- columns:
--   month              first day of the month
--   check_id           the check
--   verdict            what the check could say at the month's commit
--   closed_count       closed in the month; null if not evaluated
--   median_days        half of them had closed after so many days; null where nothing closed
--   p90_days           nine tenths of them
--   longest_days       the longest

with closed as (

    select
        month,
        check_id,
        days_open,
        row_number() over (partition by month, check_id order by days_open) as place,
        count(*) over (partition by month, check_id) as closed_count
    from trend.moves_by_month
    where move = 'closed'

),

-- By nearest rank: of ten the fifth is the median and the ninth is p90.
ranked as (

    select
        month,
        check_id,
        min(case when place * 2 >= closed_count then days_open end) as median_days,
        min(case when place * 10 >= closed_count * 9 then days_open end) as p90_days,
        max(days_open) as longest_days
    from closed
    group by month, check_id

)

select
    counted.month,
    counted.check_id,
    counted.verdict,
    counted.closed_count,
    case when counted.closed_count is not null then ranked.median_days end as median_days,
    case when counted.closed_count is not null then ranked.p90_days end as p90_days,
    case when counted.closed_count is not null then ranked.longest_days end as longest_days
from trend.exceptions_by_month as counted
left join ranked on
    ranked.month = counted.month and
    ranked.check_id = counted.check_id
order by counted.month, counted.check_id
