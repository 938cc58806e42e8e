-- title:    Exceptions by who owns and who must act, by month
-- question: Which side has how much to put right?
-- grain:    one row per month, check, owner and acting side that ever had an exception
-- columns:
--   month              first day of the month
--   check_id           the check
--   record_owner       the side that is right by the ownership matrix
--   fix_side           the side that must act
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
    first_key as record_owner,
    second_key as fix_side,
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
where dimension = 'owner'
