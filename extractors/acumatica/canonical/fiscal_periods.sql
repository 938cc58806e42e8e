-- title: Acumatica financial periods
-- grain: one period of the master calendar, adjustment periods included
-- statuses: Inactive, Open, Closed, Locked
-- A period may be closed in AP and AR while the ledger still takes entries: only Closed and Locked are closed for posting.

select
    trim(periods.financial_period_id) as record_id,
    years.last_modified_date_time as updated_at,
    trim(periods.financial_period_id) as period,
    periods.start_date as starts_on,
    periods.end_date as ends_on,
    lower(trim(periods.status)) in ('closed', 'locked') as is_closed
from source.financial_periods as periods
inner join source.financial_years as years on periods.financial_year = years.financial_year
