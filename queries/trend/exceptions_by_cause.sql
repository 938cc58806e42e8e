-- title:    Exceptions by cause, by month
-- question: What makes the two systems disagree, and does it get better?
-- grain:    one row per month, check and cause that ever had an exception
-- columns:
--   month              first day of the month
--   check_id           the check
--   cause              where the data makes it knowable, else unknown
--   commit_number      the commit that stands for the month
--   verdict            what the check could say then; not_evaluated also if nothing was committed
--   open_count         open at the month's commit; null if not evaluated
--   waived_count       waived then
--   opened_count       opened for the first time since the month before
--   reopened_count     opened again
--   closed_count       closed
--   amount_at_risk     money of the open ones that no other open one explains; null if currencies mix
--   currency           of the amount

select
    month,
    check_id,
    first_key as cause,
    commit_number,
    verdict,
    open_count,
    waived_count,
    opened_count,
    reopened_count,
    closed_count,
    amount_at_risk,
    currency
from shared.exceptions_by_month
where dimension = 'cause'
