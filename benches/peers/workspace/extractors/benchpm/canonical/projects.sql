-- title: Projects
-- grain: one project
select
    _key as record_id,
    job_number as linked_id,
    updated_at,
    job_number as number,
    normalize_number(job_number) as number_key,
    name,
    is_active
from source.pm_projects
