-- title: Jobs
-- grain: one job
select _key as record_id, updated_at, job_number as number, normalize_number(job_number) as number_key, name, true as is_active
from source.erp_jobs
