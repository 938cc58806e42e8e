-- title:    How well the mirror follows the owner, field by field and month by month
-- question: What share of each vendor field is equal on both sides within 24 hours of the owner's last change?
-- grain:    one row per month and vendor field that both sides tell
-- columns:
--   month              first day of the month
--   field              the field, as V3 names it
--   record_owner       the side that owns it
--   verdict            measured, partial, not_evaluated or not_applicable; not_evaluated also if nothing was committed
--   reason             why it could not be measured, or only in part
--   pair_count         linked vendors at the month's commit
--   differing_count    of these, those that differ
--   recent_count       of the differing, those whose owner changed the field within 24 hours before the commit
--   conforming_percent equal, or different only since the owner's change of the last 24 hours

with measured as (

    select commit_number, field, verdict, reason, value
    from system.measures
    where measure = 'measured_vendor_fields'

),

verdicts as (

    select commit_number, min(verdict) as verdict, min(reason) as reason
    from measured
    group by commit_number

),

fields as (

    select distinct field from measured where field is not null

),

owners as (

    select max(record_owner) as record_owner
    from recon.ownership
    where
        entity = 'vendors' and
        field = '*'

),

-- The owner's changes that a mirror had less than 24 hours to follow.
recent as (

    select distinct
        moves.commit_number,
        'V3:' || moves.pm_id || ':' || moves.erp_id || ':' || replace(moves.field, 'tax_id_hash', 'tax_id') as exception_key
    from system.field_moves as moves
    inner join meta.commits as commits on commits.commit_number = moves.commit_number
    where
        moves.entity = 'vendors' and
        moves.side = moves.record_owner and
        to_unixtime(commits.observed_at) - to_unixtime(moves.moved_at) <= 86400

),

differing as (

    select
        standing.month,
        split_part(standing.exception_key, ':', -1) as field,
        count(*) as differing_count,
        count(recent.exception_key) as recent_count
    from trend.open_by_month as standing
    left join recent on
        recent.commit_number = standing.commit_number and
        recent.exception_key = standing.exception_key
    where standing.check_id = 'V3'
    group by standing.month, split_part(standing.exception_key, ':', -1)

),

told as (

    select
        months.month,
        fields.field,
        owners.record_owner,
        coalesce(verdicts.verdict, 'not_evaluated') as verdict,
        verdicts.reason,
        measured.value as pair_count,
        case when measured.value is not null then coalesce(differing.differing_count, 0) end as differing_count,
        case when measured.value is not null then coalesce(differing.recent_count, 0) end as recent_count
    from trend.months as months
    cross join fields
    cross join owners
    left join verdicts on verdicts.commit_number = months.evaluated_commit
    left join measured on
        measured.commit_number = months.evaluated_commit and
        measured.field = fields.field
    left join differing on
        differing.month = months.month and
        differing.field = fields.field

)

select
    *,
    cast(
        round(100.0 * (pair_count - differing_count + recent_count) / nullif(pair_count, 0), 1) as decimal(5,1)
    ) as conforming_percent
from told
order by month, field
