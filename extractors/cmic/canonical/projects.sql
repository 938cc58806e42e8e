-- title: CMiC projects
-- grain: one control job of a company; those of the demo company ZZ are none
-- The connector makes a project of each control job and a sub job of each job below it. A job that no other controls is its own.
--   jobs 24-A and 24-B with control 24 → project 24; job 25 without control, or with control 25 → project 25.
-- Of several rows the control job's own counts, else the one changed last. A project without a job goes by its own code.
-- Status codes are the firm's own: [status.<source>.projects] maps them. Without a word of the firm a project with a closing date is
-- closed, any other approved.

with coded as (

    select
        *,
        trim(grpmp_comp_code) as company,
        coalesce(nullif(trim(grpmp_job_code), ''), trim(grpmp_proj_code)) as job,
        coalesce(nullif(trim(grpmp_proj_ctrl_code), ''), nullif(trim(grpmp_job_code), ''), trim(grpmp_proj_code)) as code,
        coalesce(
            firm_status('projects', grpmp_status_code),
            case when grpmp_closed_date is not null then 'closed' else 'approved' end
        ) as approval_status
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
    grpmp_iu_create_date as created_at,
    coalesce(grpmp_iu_update_date, grpmp_iu_create_date) as updated_at,
    code as number,
    normalize_number(code) as number_key,
    trim(grpmp_proj_name) as name,
    approval_status,
    approval_status = 'approved' as is_active,
    company as entity_code,
    nullif(trim(grpmp_manager_name), '') as project_manager,
    grpmp_start_date as start_date,
    grpmp_end_date as completion_date,
    nullif(trim(grpmp_cust_code), '') as customer_id
from ranked
where choice = 1
