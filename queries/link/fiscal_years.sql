-- title:    The fiscal year of the accounting date
-- question: Which day did the year begin on that the accounting date lies in?
-- grain:    one row
-- parameters: fiscal_year_start of [firm]
-- columns:
--   starts_on          first day of the fiscal year
--   opens_on           the day before it: opening balances are those of its end
--   calendar_starts_on first day of the calendar year, which tax forms go by

with parts as (

    select
        accounting_date,
        cast(date_part('year', accounting_date) as bigint) as year,
        cast(date_part('month', accounting_date) as bigint) as month
    from meta.clock

),

begun as (

    select
        year - case when month < setting_integer('fiscal_year_start') then 1 else 0 end as year,
        year as calendar_year
    from parts

),

dated as (

    select
        cast(cast(year as varchar) || '-' || lpad(cast(setting_integer('fiscal_year_start') as varchar), 2, '0') || '-01' as date) as starts_on,
        cast(cast(calendar_year as varchar) || '-01-01' as date) as calendar_starts_on
    from begun

)

select
    starts_on,
    cast(starts_on - interval '1 day' as date) as opens_on,
    calendar_starts_on
from dated
