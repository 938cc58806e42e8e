-- title: Sage 300 CRE jobs
-- grain: one job; its extras are part of it
-- statuses: Unstarted, In progress, Complete, Closed
-- The prefix of its cost account is the ledger's segment of the job.

select
    upper(trim(job)) as record_id,
    case when date_stamp > date '1900-01-01' then end_of_day(date_stamp) end as updated_at,
    upper(trim(job)) as number,
    normalize_number(trim(job)) as number_key,
    trim(description) as name,
    coalesce(firm_status('jobs', status), case lower(trim(status))
        when 'unstarted' then 'approved'
        when 'in progress' then 'approved'
        when 'complete' then 'closed'
        when 'completed' then 'closed'
        when 'closed' then 'closed'
        else 'pending'
    end) as approval_status,
    coalesce(lower(trim(status)), '') not in ('closed', 'complete', 'completed') and not coalesce(job_complete, false) as is_active,
    nullif(trim(cost_account_prefix), '') as gl_segment,
    nullif(upper(trim(ar_customer)), '') as customer_id
from source.jobs
