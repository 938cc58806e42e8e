-- title: Change orders of commitments
-- grain: one change order
-- kinds: commitment
-- statuses: pending, approved
select
    _key as record_id,
    updated_at,
    'commitment' as kind,
    number,
    normalize_number(number) as number_key,
    cast(project_id as varchar) as project_id,
    cast(commitment_id as varchar) as contract_id,
    title,
    coalesce(firm_status('pm_change_orders', status), case status when 'approved' then 'approved' else 'pending' end) as approval_status,
    end_of_day(approved_date) as approved_at,
    amount
from source.pm_change_orders
