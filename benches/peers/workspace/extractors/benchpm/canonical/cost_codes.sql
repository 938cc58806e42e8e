-- title: Cost codes of projects
-- grain: one code that a project's budget uses

with used as (

    select project_id, cost_code, max(updated_at) as updated_at
    from source.pm_budget_lines
    group by project_id, cost_code

)

select
    concat(used.project_id, '|', used.cost_code) as record_id,
    used.updated_at,
    cast(used.project_id as varchar) as project_id,
    codes.code,
    normalize_number(codes.code) as code_key,
    codes.description as title,
    true as is_active
from used
inner join source.pm_cost_codes as codes on codes.code = used.cost_code
