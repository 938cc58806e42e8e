-- title: Change orders that were posted
-- grain: one change order
-- kinds: commitment
select
    _key as record_id,
    updated_at,
    'commitment' as kind,
    number,
    normalize_number(number) as number_key,
    job_number as project_id,
    'approved' as approval_status,
    end_of_day(posted_date) as approved_at,
    amount
from source.erp_change_orders
