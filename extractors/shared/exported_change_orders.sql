-- title: Clients' change orders, as exported
-- grain: one change order of a job
-- statuses: Draft, Unreleased, Released, Pending, Pending Approval, Approved, Declined, Rejected, Void, Voided
-- They are the client's: what they change is the price of the job.

select
    _key as record_id,
    'prime' as kind,
    trim(co_number) as number,
    normalize_number(trim(co_number)) as number_key,
    job as project_id,
    title,
    coalesce(firm_status('change_orders', status), case lower(trim(status))
        when 'draft' then 'draft'
        when 'unreleased' then 'draft'
        when 'approved' then 'approved'
        when 'declined' then 'rejected'
        when 'rejected' then 'rejected'
        when 'void' then 'void'
        when 'voided' then 'void'
        else 'pending'
    end) as approval_status,
    end_of_day(approved_date) as approved_at,
    owner_price as amount,
    currency
from source.change_orders
