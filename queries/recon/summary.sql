-- title:    The month's result, one line per check
-- question: What could each check say, and how much is open?
-- grain:    one row per check, also where nothing is wrong
-- columns:
--   check_id                the check
--   view_name               the view with every column of its rows
--   title                   what it finds
--   verdict                 read this first: clean, exceptions, partial, not_evaluated or not_applicable
--   open_count              open exceptions; null where the check could not speak
--   in_flight_count         missing records still within their grace
--   waived_count            waived exceptions
--   amount_at_risk          money of the open ones that no other open one explains; null if currencies mix
--   currency                of the amount
--   oldest_age_days         age of the oldest open one
--   change_since_last_month open now less open at the previous month's commit; null if either could not speak
--   projects_clean          projects by verdict
--   projects_with_exceptions likewise
--   projects_partial        likewise
--   projects_not_evaluated  likewise
--   projects_not_applicable likewise

with runs as (

    select
        check_id,
        min(case when project_id is null then verdict end) as verdict,
        count(case when project_id is not null and verdict = 'clean' then 1 end) as projects_clean,
        count(case when project_id is not null and verdict = 'exceptions' then 1 end) as projects_with_exceptions,
        count(case when project_id is not null and verdict = 'partial' then 1 end) as projects_partial,
        count(case when project_id is not null and verdict = 'not_evaluated' then 1 end) as projects_not_evaluated,
        count(case when project_id is not null and verdict = 'not_applicable' then 1 end) as projects_not_applicable
    from recon.check_runs
    where is_latest
    group by check_id

),

open_keys as (

    select distinct exception_key from recon.exceptions where state = 'open'

),

counted as (

    select
        exceptions.check_id,
        count(case when state = 'open' then 1 end) as open_count,
        count(case when state = 'in_flight' then 1 end) as in_flight_count,
        count(case when state = 'waived' then 1 end) as waived_count,
        sum(case when state = 'open' and open_keys.exception_key is null then amount_at_risk end) as amount_at_risk,
        min(case when state = 'open' then coalesce(currency, setting_text('currency')) end) as currency,
        max(case when state = 'open' then coalesce(currency, setting_text('currency')) end) as last_currency,
        max(case when state = 'open' then age_days end) as oldest_age_days
    from recon.exceptions as exceptions
    left join open_keys on open_keys.exception_key = exceptions.explained_by
    group by exceptions.check_id

),

-- The month before that of the commit read.
previous_month as (

    select evaluated_commit
    from trend.months
    where evaluated_commit < (select max(commit_number) from recon.check_runs)
    order by month desc
    limit 1

),

previous_runs as (

    select check_runs.check_id, check_runs.exception_count
    from recon.check_runs
    inner join previous_month on previous_month.evaluated_commit = check_runs.commit_number
    where check_runs.project_id is null and check_runs.verdict not in ('not_evaluated', 'not_applicable')

),

told as (

    select
        checks.check_id, checks.view_name, checks.title,
        coalesce(runs.verdict, 'not_evaluated') as verdict,
        coalesce(runs.verdict, 'not_evaluated') not in ('not_evaluated', 'not_applicable') as is_told,
        coalesce(counted.open_count, 0) as open_count, previous_runs.exception_count as previous_count,
        coalesce(counted.in_flight_count, 0) as in_flight_count, coalesce(counted.waived_count, 0) as waived_count,
        coalesce(counted.amount_at_risk, 0) as amount_at_risk,
        counted.currency is distinct from counted.last_currency as is_mixed,
        coalesce(counted.currency, setting_text('currency')) as currency,
        counted.oldest_age_days,
        runs.projects_clean, runs.projects_with_exceptions, runs.projects_partial, runs.projects_not_evaluated,
        runs.projects_not_applicable
    from meta.checks
    left join runs on runs.check_id = checks.check_id
    left join counted on counted.check_id = checks.check_id
    left join previous_runs on previous_runs.check_id = checks.check_id
    where checks.check_id is not null

)

-- Never a bare 0: where the check could not speak there is no count.
select
    check_id, view_name, title, verdict,
    case when is_told then open_count end as open_count,
    case when is_told then in_flight_count end as in_flight_count,
    case when is_told then waived_count end as waived_count,
    cast(case when is_told and not is_mixed then amount_at_risk end as decimal(18,2)) as amount_at_risk,
    case when is_mixed then 'mixed' else currency end as currency,
    case when is_told then oldest_age_days end as oldest_age_days,
    case when is_told then open_count - previous_count end as change_since_last_month,
    coalesce(projects_clean, 0) as projects_clean, coalesce(projects_with_exceptions, 0) as projects_with_exceptions,
    coalesce(projects_partial, 0) as projects_partial, coalesce(projects_not_evaluated, 0) as projects_not_evaluated,
    coalesce(projects_not_applicable, 0) as projects_not_applicable
from told
order by check_id
