-- title: FOUNDATION jobs as prime contracts
-- grain: one job that is for a customer
-- A change order counts once its status is A.
--   contract 1,000.00, changes of 50.00 (A) and 70.00 (P) → approved changes 50.00, revised 1,050.00.

with changes as (

    select trim(job_no) as job_no, sum(tot_income_adj) as amount
    from source.job_changes
    where coalesce(firm_status('job_changes', status), case upper(trim(status)) when 'A' then 'approved' end) in ('approved', 'closed')
    group by trim(job_no)

)

select
    trim(jobs.job_no) as record_id,
    trim(jobs.job_no) as number,
    trim(jobs.job_no) as project_id,
    trim(jobs.customer_no) as customer_id,
    jobs.original_contract as original_amount,
    coalesce(changes.amount, 0) as approved_change_amount,
    jobs.original_contract + coalesce(changes.amount, 0) as revised_amount
from source.jobs as jobs
left join changes on changes.job_no = trim(jobs.job_no)
where nullif(trim(jobs.customer_no), '') is not null
