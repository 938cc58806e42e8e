-- title: Jobs, as exported
-- grain: one job
-- statuses: Open, Closed, Pre-sale, Warranty
-- The number people use is the job's prefix; where a firm keeps it in front of the name, it is the name's first word that has a digit,
-- else the name itself: a project of the ERP is linked by its number, or by crosswalks/projects.csv.
--   '24-017 Miller Residence' without a prefix → 24-017.

with numbered as (

    select *,
        coalesce(
            nullif(trim(job_number), ''),
            nullif(regexp_replace(trim(job_name), '^([A-Za-z]{0,4}[-.]?[0-9][0-9A-Za-z.-]*)[ :,].*$|^.*$', '\1'), ''),
            trim(job_name)
        ) as number
    from source.jobs

)

select
    job_name as record_id,
    number,
    normalize_number(number) as number_key,
    trim(job_name) as name,
    coalesce(firm_status('jobs', status), case lower(trim(status))
        when 'open' then 'approved'
        when 'active' then 'approved'
        when 'warranty' then 'approved'
        when 'closed' then 'closed'
        when 'pre-sale' then 'draft'
        when 'presale' then 'draft'
    end) as approval_status,
    coalesce(lower(trim(status)), 'open') not in ('closed', 'warranty', 'pre-sale', 'presale') as is_active,
    start_date,
    completion_date,
    nullif(trim(client), '') as customer_id
from numbered
