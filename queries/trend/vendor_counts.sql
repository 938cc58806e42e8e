-- title:    Vendor counts by month
-- question: How do the numbers of vendors on both sides grow apart?
-- grain:    one row per month and measure
-- columns:
--   month              first day of the month
--   measure            all, active, inactive, linked, unlinked, in_use, in_use_unlinked
--   verdict            measured, partial, not_evaluated or not_applicable; not_evaluated also if nothing was committed
--   reason             why it could not be measured, or only in part
--   pm_count           vendors in PM
--   erp_count          vendors in the ERP
--   difference         PM minus ERP

with listed as (

    select measure
    from (
        values ('all'), ('active'), ('inactive'), ('linked'), ('unlinked'), ('in_use'), ('in_use_unlinked')
    ) as names (measure)

),

measured as (

    select commit_number, field, side, verdict, reason, value
    from system.measures
    where measure = 'measured_vendors'

),

verdicts as (

    select commit_number, min(verdict) as verdict, min(reason) as reason
    from measured
    group by commit_number

)

select
    months.month,
    listed.measure,
    coalesce(verdicts.verdict, 'not_evaluated') as verdict,
    verdicts.reason,
    pm_side.value as pm_count,
    erp_side.value as erp_count,
    pm_side.value - erp_side.value as difference
from trend.months as months
cross join listed
left join verdicts on verdicts.commit_number = months.evaluated_commit
left join measured as pm_side on
    pm_side.commit_number = months.evaluated_commit and
    pm_side.field = listed.measure and
    pm_side.side = 'pm'
left join measured as erp_side on
    erp_side.commit_number = months.evaluated_commit and
    erp_side.field = listed.measure and
    erp_side.side = 'erp'
order by months.month, listed.measure
