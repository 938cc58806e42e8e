-- title:    Exceptions that somebody let stand
-- question: What was waived, by whom, why, until when, up to what amount, and does it still hold?
-- grain:    one row per waiver, also one that ended
-- columns:
--   check_id           the check
--   check_version      its version then: another one's exceptions are not waived
--   exception_key      the exception
--   entity             what it is about
--   project_id         PM's record id of the project; null = firm level
--   project_number     the number people use
--   label              what people call it
--   reason             why, in the person's words
--   waived_by          who decided
--   waived_at          when, UTC
--   waiver_commit      the commit that says so
--   until_date         the last day on which it holds, in the firm's zone
--   waived_amount      amount at risk when it was waived
--   up_to_amount       up to what amount it may grow; null = it may not move beyond the tolerance
--   currency           of the amounts
--   state              active, lapsed or taken_back
--   ended_commit       the commit in which it ended
--   ended_at           when that commit was made, UTC
--   ended_by           who took it back
--   ended_reason       why it ended
--   is_needed          the exception is there as of now
--   amount_at_risk     its amount at risk now

select
    waivers.check_id,
    waivers.check_version,
    waivers.exception_key,
    waivers.entity,
    waivers.project_id,
    waivers.project_number,
    waivers.label,
    waivers.reason,
    waivers.waived_by,
    made.committed_at as waived_at,
    waivers.waiver_commit,
    cast(waivers.until as date) as until_date,
    waivers.waived_amount,
    waivers.up_to_amount,
    waivers.currency,
    waivers.state,
    waivers.ended_commit,
    ended.committed_at as ended_at,
    waivers.ended_by,
    waivers.ended_reason,
    exceptions.exception_key is not null as is_needed,
    exceptions.amount_at_risk
from system.waivers as waivers
left join meta.commits as made on made.commit_number = waivers.waiver_commit
left join meta.commits as ended on ended.commit_number = waivers.ended_commit
left join system.exceptions as exceptions on
    exceptions.check_id = waivers.check_id and
    exceptions.check_version = waivers.check_version and
    exceptions.exception_key = waivers.exception_key
