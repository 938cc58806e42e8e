-- title: FOUNDATION jobs
-- grain: one job of the company
-- statuses: A, C, I, P
-- job_no is the key that everything names; job_number is another number, mostly blank, and may be that of another job.

select
    trim(jobs.job_no) as record_id,
    trim(jobs.job_no) as number,
    normalize_number(trim(jobs.job_no)) as number_key,
    trim(jobs.description) as name,
    coalesce(firm_status('jobs', jobs.job_status), case upper(trim(jobs.job_status))
        when 'A' then 'approved'
        when 'C' then 'closed'
        when 'I' then 'closed'
        else 'pending'
    end) as approval_status,
    coalesce(upper(trim(jobs.job_status)), '') = 'A' as is_active,
    nullif(trim(managers.description), '') as project_manager,
    jobs.job_start_date as start_date,
    jobs.completion_date,
    nullif(trim(jobs.customer_no), '') as customer_id
from source.jobs as jobs
left join source.project_managers as managers on trim(managers.project_manager_no) = nullif(trim(jobs.project_manager_no), '')
