-- title:    What was open at each month's commit
-- question: Which exceptions stood at the end of a month, how old were they, and who had to act?
-- grain:    one row per month and exception that was open or waived at the month's commit
-- columns:
--   month              first day of the month
--   commit_number      the commit that stands for the month
--   check_id           the check
--   check_version      its version then
--   exception_key      stable key, from record ids
--   entity             what it is about
--   project_id         PM's record id of the project; null = firm level
--   record_owner       the side that is right by the ownership matrix
--   fix_side           the side that must act
--   cause              where the data makes it knowable, else unknown
--   state              open or waived
--   age_days           whole days from when it came to be to the month's commit
--   amount_at_risk     as the check's header defines it
--   counted_amount     the same, null where another exception open then explains it: its money is counted there
--   currency           of the amounts

with standing as (

    select
        months.month,
        months.commit_number,
        commits.observed_at,
        intervals.check_id,
        intervals.check_version,
        intervals.exception_key,
        intervals.entity,
        intervals.project_id,
        intervals.record_owner,
        intervals.fix_side,
        coalesce(intervals.cause, 'unknown') as cause,
        intervals.state,
        intervals.amount_at_risk,
        coalesce(intervals.currency, setting_text('currency')) as currency,
        intervals.explained_by,
        coalesce(intervals.occurred_at, intervals.first_seen_at) as came_at
    from trend.months as months
    left join meta.commits as commits on commits.commit_number = months.commit_number
    inner join recon.exception_intervals as intervals on
        intervals.from_commit <= months.commit_number and
        (intervals.until_commit is null or intervals.until_commit > months.commit_number)
    where intervals.state <> 'in_flight'

),

open_keys as (

    select distinct month, exception_key
    from standing
    where state = 'open'

)

select
    standing.month,
    standing.commit_number,
    standing.check_id,
    standing.check_version,
    standing.exception_key,
    standing.entity,
    standing.project_id,
    standing.record_owner,
    standing.fix_side,
    standing.cause,
    standing.state,
    greatest((to_unixtime(standing.observed_at) - to_unixtime(standing.came_at)) / 86400, 0) as age_days,
    standing.amount_at_risk,
    case when open_keys.exception_key is null then standing.amount_at_risk end as counted_amount,
    standing.currency
from standing
left join open_keys on
    open_keys.month = standing.month and
    open_keys.exception_key = standing.explained_by
