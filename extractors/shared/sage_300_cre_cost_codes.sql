-- title: Cost codes of Sage 300 CRE's jobs
-- grain: one code of one job; its categories are cost types

select
    concat(upper(trim(job)), '|', upper(trim(cost_code))) as record_id,
    upper(trim(job)) as project_id,
    trim(cost_code) as code,
    normalize_number(trim(cost_code)) as code_key,
    bool_or(coalesce(lower(trim(status)), '') not in ('closed', 'inactive')) as is_active
from source.categories
group by upper(trim(job)), trim(cost_code), upper(trim(cost_code))
