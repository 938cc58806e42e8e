-- title:    Share of cost codes that both sides know, by month
-- question: Do the cost codes of the two systems grow together?
-- grain:    one row per month and side
-- columns:
--   month              first day of the month
--   side               pm or erp
--   verdict            measured, partial, not_evaluated or not_applicable; not_evaluated also if nothing was committed
--   reason             why it could not be measured, or only in part
--   aligned_count      codes of that side with a counterpart
--   code_count         all codes of that side
--   aligned_percent    the share; null where there is no code

with sides as (

    select side from (values ('pm'), ('erp')) as names (side)

),

measured as (

    select commit_number, side, verdict, reason, value, of_value
    from system.measures
    where measure = 'measured_cost_codes'

),

verdicts as (

    select commit_number, min(verdict) as verdict, min(reason) as reason
    from measured
    group by commit_number

)

select
    months.month,
    sides.side,
    coalesce(verdicts.verdict, 'not_evaluated') as verdict,
    verdicts.reason,
    measured.value as aligned_count,
    measured.of_value as code_count,
    cast(round(100.0 * measured.value / nullif(measured.of_value, 0), 1) as decimal(5,1)) as aligned_percent
from trend.months as months
cross join sides
left join verdicts on verdicts.commit_number = months.evaluated_commit
left join measured on
    measured.commit_number = months.evaluated_commit and
    measured.side = sides.side
order by months.month, sides.side
