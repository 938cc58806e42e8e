-- title: Sage Intacct reporting periods
-- grain: one month
-- The list holds quarters, years and running spans as well, and the same month under several names: of each month one stands here.
-- Whether a period is closed is told by no object.

select
    min(trim(id)) as record_id,
    max(modified_date_time) as updated_at,
    min(trim(id)) as period,
    start_date as starts_on,
    end_date as ends_on
from source.reporting_periods
where
    start_date is not null and end_date is not null and
    end_date - start_date between 26 and 35 and
    coalesce(lower(trim(period_status)), 'active') = 'active'
group by start_date, end_date
