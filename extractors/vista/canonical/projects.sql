-- title: Vista jobs
-- grain: one job of a company; prospects, which the view hides, are none
-- statuses: 0, 1, 2, 3
-- Pending, open, soft-closed, closed. A job's customer and dates are its contract's.
-- The mask of jobs tells how they are stored: by `5R-3R-3RN` job 26-101 is `   26-101-`. The number is without the blanks of its parts and
-- without empty parts at its end; the key is as stored, without blanks at its ends.

with masks as (

    -- What stands between the parts of a mask: the letters that are no part.
    select coalesce(nullif(substr(max(regexp_replace(trim(input_mask), '[0-9]+[LRlr][Nn]?', '', 'g')), 1, 1), ''), '-') as separator
    from source.input_masks
    where lower(trim(datatype)) = 'bjob'

)

select
    concat(jobs.jc_co, '|', trim(jobs.job)) as record_id,
    rtrim(
        regexp_replace(trim(jobs.job), concat(' *[', masks.separator, '] *'), masks.separator, 'g'), concat(masks.separator, ' ')
    ) as number,
    normalize_number(trim(jobs.job)) as number_key,
    trim(jobs.description) as name,
    coalesce(firm_status('jobs', cast(jobs.job_status as varchar)), case jobs.job_status
        when 0 then 'draft'
        when 1 then 'approved'
        when 2 then 'closed'
        when 3 then 'closed'
        else 'pending'
    end) as approval_status,
    jobs.job_status = 1 as is_active,
    cast(jobs.jc_co as varchar) as entity_code,
    nullif(trim(managers.name), '') as project_manager,
    contracts.start_date,
    contracts.proj_close_date as completion_date,
    cast(contracts.cust_group as varchar) || '|' || cast(contracts.customer as varchar) as customer_id
from source.jobs as jobs
cross join masks
left join source.contracts as contracts on contracts.jc_co = jobs.jc_co and contracts.contract = jobs.contract
left join source.project_managers as managers on managers.jc_co = jobs.jc_co and managers.project_mgr = jobs.project_mgr
