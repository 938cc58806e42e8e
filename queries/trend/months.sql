-- title:    The commit that stands for each month
-- question: Which commit shows how a month ended?
-- grain:    one row per calendar month from the first commit to the newest
-- columns:
--   month              first day of the month
--   commit_number      the commit that stands for it; null if nothing was committed
--   previous_commit    the commit of the last month before it that has one
--   is_closed          the month had ended when that commit was observed

with commits as (

    select
        commits.commit_number,
        commits.observed_at
    from meta.commits as commits
    cross join meta.clock
    where commits.commit_number <= clock.commit_number

),

span as (

    select
        cast(date_trunc('month', min(observed_at) - interval '3 days') as date) as first_month,
        cast(date_trunc('month', max(observed_at)) as date) as last_month
    from commits

),

months as (

    select cast(unnest(generate_series(first_month, last_month, interval '1 month')) as date) as month
    from span

),

bounded as (

    select
        month,
        end_of_day(cast(month - interval '1 day' as date)) as starts_after,
        end_of_day(cast(month + interval '1 month' - interval '1 day' as date)) as ends_at
    from months

),

-- The first commit after the month's end, if it came within three days, shows the month as it ended; else the last one
-- within the month does. Commits on 31 October 23:00 and 30 November 23:00: October has the first, not the second.
chosen as (

    select
        bounded.month,
        min(bounded.ends_at) as ends_at,
        min(case when commits.observed_at > bounded.ends_at then commits.commit_number end) as after_end,
        max(
            case
                when commits.observed_at <= bounded.ends_at and commits.observed_at > bounded.starts_after then commits.commit_number
            end
        ) as within
    from bounded
    left join commits on
        commits.observed_at > bounded.starts_after and
        commits.observed_at <= bounded.ends_at + interval '3 days'
    group by bounded.month

),

standing as (

    select
        month,
        coalesce(after_end, within) as commit_number,
        after_end is not null as is_closed
    from chosen

)

-- A month before the first commit's own has no commit and is not shown.
select
    month,
    commit_number,
    coalesce(
        max(commit_number) over (order by month rows between unbounded preceding and 1 preceding), 0
    ) as previous_commit,
    is_closed
from standing
where
    commit_number is not null or
    month > (select min(month) from standing where commit_number is not null)
