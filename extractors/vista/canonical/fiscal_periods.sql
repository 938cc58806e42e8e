-- title: Vista fiscal periods
-- grain: one month
-- A month is closed when every company has closed its ledger through it.

with months as (

    select periods.mth, bool_and(coalesce(periods.mth <= companies.last_mth_gl_clsd, false)) as is_closed
    from source.fiscal_periods as periods
    left join source.gl_companies as companies on companies.gl_co = periods.gl_co
    group by periods.mth

)

select
    to_char(mth, '%Y-%m') as record_id,
    to_char(mth, '%Y-%m') as period,
    mth as starts_on,
    cast(mth + interval '1 month' - interval '1 day' as date) as ends_on,
    is_closed
from months
