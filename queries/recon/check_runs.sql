-- title:    What each check could say, commit by commit
-- question: When did a check run, for which project, on data of what age, and with what verdict?
-- grain:    one row per commit, check and project; project_id null is the check as a whole
-- columns:
--   commit_number      the commit that holds the result
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
--   amount_at_risk     money of the open ones that no other exception explains
--   error              why it failed to run
--   is_latest          of the newest commit in which the check ran

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
    amount_at_risk,
    error,
    commit_number = max(commit_number) over (partition by check_id) as is_latest
from system.check_runs
