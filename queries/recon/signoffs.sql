-- title:    Months and who signed them off
-- question: Which months are signed, and did anything change a signed month since?
-- grain:    one row per month that is closed or signed
-- columns:
--   month              first day of the month
--   status             signed, reopened (something changed since) or unsigned
--   commit_number      the commit that stands for the month now
--   signed_commit      the commit whose results were signed
--   signed_by          who signed last
--   signed_at          when, UTC
--   open_count         exceptions open at the signed commit
--   unevaluated_count  checks that could not speak, or only in part, at the signed commit
--   late_count         exceptions dated in or before the month whose record was first seen after the sign-off
--   reason             why it is reopened
--   changed_count      exceptions dated in or before the month that opened or changed since because a field of their records
--                      moved after the sign-off; payments are no such move
--   rejudged_count     open exceptions at the signed commit by a recheck that came after the sign-off; null if there is none

with latest_signoffs as (

    select *
    from (select *, row_number() over (partition by month order by signoff_commit desc) as place from meta.signoffs) as ranked
    where place = 1

),

-- What was found since then of the month and those before it.
found_since as (

    select signoffs.month, signoffs.commit_number, signoffs.observed_at, exceptions.exception_key, exceptions.entity,
        exceptions.pm_id, exceptions.erp_id, exceptions._commit as found_commit
    from latest_signoffs as signoffs
    inner join history.tieout_exceptions as exceptions on
        exceptions._op <> 'D' and exceptions.state <> 'in_flight' and
        exceptions._commit > signoffs.commit_number and
        exceptions.occurred_at <= end_of_day(cast(signoffs.month + interval '1 month' - interval '1 day' as date))

),

-- A document dated in the month that reached its system only after the sign-off. An exception that merely grew old enough
-- after it (unpaid for 60 days) is no change of the month: its record had been seen before.
late as (

    select found_since.month, count(distinct found_since.exception_key) as late_count
    from found_since
    inner join system.record_statuses as records on
        records.record_id in (found_since.pm_id, found_since.erp_id) and
        records.entity = found_since.entity and
        records.first_seen_at > found_since.observed_at
    group by found_since.month

),

-- A correction of what was dated in the month. A payment moves balances every day and changes nothing of the month.
changed as (

    select found_since.month, count(distinct found_since.exception_key) as changed_count
    from found_since
    inner join system.field_moves as moves on
        moves.entity = found_since.entity and
        moves.pm_id = found_since.pm_id and
        moves.erp_id = found_since.erp_id and
        moves.commit_number > found_since.commit_number and
        moves.commit_number <= found_since.found_commit
    where moves.field not in ('paid_amount', 'open_balance', 'paid_at')
    group by found_since.month

),

-- What a recheck says of the signed commit, if one came after the sign-off.
rejudged as (

    select signoffs.month, count(intervals.exception_key) as rejudged_count
    from latest_signoffs as signoffs
    inner join (select commit_number, max(evaluated_commit) as evaluated_commit from recon.check_runs group by commit_number) as runs on
        runs.commit_number = signoffs.commit_number and
        runs.evaluated_commit > signoffs.signoff_commit
    left join recon.exception_intervals as intervals on
        intervals.state = 'open' and
        intervals.from_commit <= signoffs.commit_number and
        (intervals.until_commit is null or intervals.until_commit > signoffs.commit_number)
    group by signoffs.month

),

told as (

    select
        months.month, months.commit_number, signoffs.commit_number as signed_commit,
        signoffs.signed_by, signoffs.signed_at, signoffs.open_count, signoffs.unevaluated_count,
        case when signoffs.month is not null then coalesce(late.late_count, 0) end as late_count,
        case when signoffs.month is not null then coalesce(changed.changed_count, 0) end as changed_count,
        rejudged.rejudged_count, coalesce(rejudged.rejudged_count <> signoffs.open_count, false) as is_rejudged,
        signoffs.commit_number is distinct from months.commit_number as is_moved
    from trend.months as months
    left join latest_signoffs as signoffs on signoffs.month = months.month
    left join late on late.month = months.month
    left join changed on changed.month = months.month
    left join rejudged on rejudged.month = months.month
    where months.is_closed or signoffs.month is not null

)

select
    month,
    case
        when signed_commit is null then 'unsigned'
        when is_moved or late_count > 0 or changed_count > 0 or is_rejudged then 'reopened'
        else 'signed'
    end as status,
    commit_number, signed_commit, signed_by, signed_at, open_count, unevaluated_count, late_count,
    case
        when signed_commit is null then null
        when is_moved then 'another commit stands for the month since'
        when late_count > 0 then 'records dated in the month came after the sign-off'
        when changed_count > 0 then 'records dated in the month changed after the sign-off'
        when is_rejudged then 'the rules changed and the month was judged again'
    end as reason,
    changed_count, rejudged_count
from told
order by month
