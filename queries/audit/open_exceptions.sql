-- title:    Exceptions open at the date
-- question: What did both systems disagree on when the period was closed, and what could no check look at?
-- grain:    one row per exception of the moment whose record is dated by the accounting date, and one per check that could not speak
-- columns:
--   pin                the pin that is read, or `not pinned`
--   accounting_date    the date
--   verdict            the check's: read it first; partial and not_evaluated are no all-clear
--   reason             why it could not speak, or only in part
--   check_id           the check
--   check_title        what it finds
--   exception_key      stable key; null in the row of a check that found nothing because it could not look
--   state              open, waived or in_flight
--   project_number     the number people use
--   label              what people call it
--   detail             one sentence with both values
--   amount_at_risk     as the check's header defines it
--   is_counted         its money counts: it is open and follows from no other exception
--   currency           of the amount
--   occurred_at        when it came to be, UTC; undated ones are all listed
--   first_seen_at      the first commit that saw it, UTC
--   age_days           whole days
--   fix_side           the side that must act
--   cause              where the data makes it knowable
--   explained_by       key of the exception that it follows from
-- sources:  recon.exceptions and recon.check_runs at the moment; recon.exception_history tells when they closed.

with verdicts as (

    select summary.check_id, summary.title, summary.verdict, runs.reason
    from recon.summary as summary
    left join recon.check_runs as runs on runs.check_id = summary.check_id and runs.is_latest and runs.project_id is null

),

dated as (

    select exceptions.*
    from recon.exceptions as exceptions
    cross join meta.clock
    where coalesce(exceptions.occurred_at <= end_of_day(clock.accounting_date), true)

)

select
    coalesce(clock.pin, 'not pinned') as pin,
    clock.accounting_date,
    verdicts.verdict,
    verdicts.reason,
    verdicts.check_id,
    verdicts.title as check_title,
    dated.exception_key,
    dated.state,
    dated.project_number,
    dated.label,
    dated.detail,
    dated.amount_at_risk,
    dated.state = 'open' and causes.exception_key is null as is_counted,
    dated.currency,
    dated.occurred_at,
    dated.first_seen_at,
    dated.age_days,
    dated.fix_side,
    dated.cause,
    dated.explained_by
from verdicts
cross join meta.clock
left join dated on dated.check_id = verdicts.check_id
left join (select distinct exception_key from recon.exceptions where state = 'open') as causes on causes.exception_key = dated.explained_by
where dated.exception_key is not null or verdicts.verdict in ('not_evaluated', 'partial')
