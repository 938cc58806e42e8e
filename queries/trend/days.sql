-- title:    The commit that stands for each day
-- question: Which commit shows how a day ended, and was anything judged that day?
-- grain:    one row per day of the firm's zone from the first commit to the newest
-- columns:
--   day                the day
--   commit_number      the newest commit of that day in which checks ran; null if there is none
--   previous_commit    the newest such commit before that day; 0 if there is none

with judged as (

    select distinct check_runs.commit_number, firm_day(commits.observed_at) as day
    from recon.check_runs
    inner join meta.commits as commits on commits.commit_number = check_runs.commit_number

),

bounds as (

    select min(day) as first_day, max(day) as last_day from judged

),

calendar as (

    select cast(unnest(generate_series(first_day, last_day, interval '1 day')) as date) as day
    from bounds
    where first_day is not null

),

newest as (

    select day, max(commit_number) as commit_number from judged group by day

)

select
    calendar.day,
    newest.commit_number,
    coalesce(
        max(newest.commit_number) over (order by calendar.day rows between unbounded preceding and 1 preceding), 0
    ) as previous_commit
from calendar
left join newest on newest.day = calendar.day
