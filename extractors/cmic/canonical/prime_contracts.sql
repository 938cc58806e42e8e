-- title: CMiC projects as prime contracts
-- grain: one project with a customer
-- The owner's contract is the project's: its key is the project's (see projects.sql), and its sum the current contract amount of that row.
-- What was agreed first and what owner change orders added is not told apart.

with coded as (

    select
        *,
        trim(grpmp_comp_code) as company,
        coalesce(nullif(trim(grpmp_job_code), ''), trim(grpmp_proj_code)) as job,
        coalesce(nullif(trim(grpmp_proj_ctrl_code), ''), nullif(trim(grpmp_job_code), ''), trim(grpmp_proj_code)) as code
    from source.projects
    where coalesce(upper(trim(grpmp_comp_code)), '') <> 'ZZ'

),

ranked as (

    select
        *,
        row_number() over (
            partition by company, code
            order by job = code desc, coalesce(grpmp_iu_update_date, grpmp_iu_create_date) desc nulls last, grpmp_proj_code
        ) as choice
    from coded

)

select
    company || '|' || code as record_id,
    coalesce(grpmp_iu_update_date, grpmp_iu_create_date) as updated_at,
    code as number,
    company || '|' || code as project_id,
    trim(grpmp_cust_code) as customer_id,
    coalesce(
        firm_status('projects', grpmp_status_code),
        case when grpmp_closed_date is not null then 'closed' else 'approved' end
    ) as approval_status,
    grpmp_curr_cont_amt as revised_amount
from ranked
where choice = 1 and nullif(trim(grpmp_cust_code), '') is not null
