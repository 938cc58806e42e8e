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
    from (
        select
            signoffs.*,
            row_number() over (partition by month order by signoff_commit desc) as place
        from meta.signoffs as signoffs
    ) as ranked
    where place = 1

),

-- A document dated in the month that reached its system only after the sign-off. An exception that merely grew old enough
-- after it (unpaid for 60 days) is no change of the month: its record had been seen before.
late as (

    select
        latest_signoffs.month,
        count(distinct exceptions.exception_key) as late_count
    from latest_signoffs
    inner join history.tieout_exceptions as exceptions on
        exceptions._op <> 'D' and
        exceptions.state <> 'in_flight' and
        exceptions._commit > latest_signoffs.commit_number and
        exceptions.occurred_at <= end_of_day(cast(latest_signoffs.month + interval '1 month' - interval '1 day' as date))
    inner join system.record_statuses as records on
        records.record_id in (exceptions.pm_id, exceptions.erp_id) and
        records.entity = exceptions.entity and
        records.first_seen_at > latest_signoffs.observed_at
    group by latest_signoffs.month

),

-- A correction of what was dated in the month. A payment moves balances every day and changes nothing of the month.
changed as (

    select
        latest_signoffs.month,
        count(distinct exceptions.exception_key) as changed_count
    from latest_signoffs
    inner join history.tieout_exceptions as exceptions on
        exceptions._op <> 'D' and
        exceptions.state <> 'in_flight' and
        exceptions._commit > latest_signoffs.commit_number and
        exceptions.occurred_at <= end_of_day(cast(latest_signoffs.month + interval '1 month' - interval '1 day' as date))
    inner join system.field_moves as moves on
        moves.entity = exceptions.entity and
        moves.pm_id = exceptions.pm_id and
        moves.erp_id = exceptions.erp_id and
        moves.commit_number > latest_signoffs.commit_number and
        moves.commit_number <= exceptions._commit
    where moves.field not in ('paid_amount', 'open_balance', 'paid_at')
    group by latest_signoffs.month

),

-- What a recheck says of the signed commit, if one came after the sign-off.
rejudged as (

    select
        latest_signoffs.month,
        count(intervals.exception_key) as rejudged_count
    from latest_signoffs
    inner join (
        select commit_number, max(evaluated_commit) as evaluated_commit from recon.check_runs group by commit_number
    ) as runs on
        runs.commit_number = latest_signoffs.commit_number and
        runs.evaluated_commit > latest_signoffs.signoff_commit
    left join recon.exception_intervals as intervals on
        intervals.state = 'open' and
        intervals.from_commit <= latest_signoffs.commit_number and
        (intervals.until_commit is null or intervals.until_commit > latest_signoffs.commit_number)
    group by latest_signoffs.month

),

told as (

    select
        months.month,
        months.commit_number,
        latest_signoffs.commit_number as signed_commit,
        latest_signoffs.signed_by,
        latest_signoffs.signed_at,
        latest_signoffs.open_count,
        latest_signoffs.unevaluated_count,
        case when latest_signoffs.month is not null then coalesce(late.late_count, 0) end as late_count,
        case when latest_signoffs.month is not null then coalesce(changed.changed_count, 0) end as changed_count,
        rejudged.rejudged_count,
        coalesce(rejudged.rejudged_count <> latest_signoffs.open_count, false) as is_rejudged,
        latest_signoffs.commit_number is distinct from months.commit_number as is_moved
    from trend.months as months
    left join latest_signoffs on latest_signoffs.month = months.month
    left join late on late.month = months.month
    left join changed on changed.month = months.month
    left join rejudged on rejudged.month = months.month
    where
        months.is_closed or
        latest_signoffs.month is not null

)

select
    month,
    case
        when signed_commit is null then 'unsigned'
        when is_moved or late_count > 0 or changed_count > 0 or is_rejudged then 'reopened'
        else 'signed'
    end as status,
    commit_number,
    signed_commit,
    signed_by,
    signed_at,
    open_count,
    unevaluated_count,
    late_count,
    case
        when signed_commit is null then null
        when is_moved then 'another commit stands for the month since'
        when late_count > 0 then 'records dated in the month came after the sign-off'
        when changed_count > 0 then 'records dated in the month changed after the sign-off'
        when is_rejudged then 'the rules changed and the month was judged again'
    end as reason,
    changed_count,
    rejudged_count
from told
order by month
