-- title:    What each check could say, commit by commit
-- question: When did a check run, for which project, on data of what age, and with what verdict?
-- grain:    one row per commit, check and project; project_id null is the check as a whole
-- columns:
--   commit_number      the commit that was judged
--   check_id           the check
--   check_version      its version then
--   project_id         PM's record id of the project; null for the whole check
--   project_number     the number people use
--   verdict            clean, exceptions, partial, not_evaluated or not_applicable
--   reason             why the check could not speak, or only in part
--   pm_observed_at     age of the oldest PM table it read, UTC
--   erp_observed_at    age of the oldest ERP table it read, UTC
--   rows_read          rows of the tables it read
--   exception_count    open exceptions
--   in_flight_count    missing records still within their grace
--   waived_count       exceptions that somebody let stand
--   amount_at_risk     money of the open ones that no other exception explains
--   error              why it failed to run
--   evaluated_commit   the commit that holds the result: commit_number itself, or a later recheck
--   is_latest          of the newest commit in which the check ran

with runs as (

    select
        *,
        max(_commit) over (partition by commit_number, check_id) as evaluated_commit,
        max(commit_number) over (partition by check_id) as latest_commit
    from system.check_runs

)

-- A recheck judges old commits again: its word is the newest one, its moment is theirs.
select
    commit_number,
    check_id,
    check_version,
    project_id,
    project_number,
    verdict,
    reason,
    pm_observed_at,
    erp_observed_at,
    rows_read,
    exception_count,
    in_flight_count,
    coalesce(waived_count, 0) as waived_count,
    amount_at_risk,
    error,
    evaluated_commit,
    commit_number = latest_commit as is_latest
from runs
where _commit = evaluated_commit
