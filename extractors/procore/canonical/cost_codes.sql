-- title: Procore cost codes
-- grain: one code of one project (Procore copies the company's list into each project)
-- The code people use is the full one, with its parents: 500 under 01 is 01-500.

with demo_projects as (

    select id from source.projects where is_demo

)

select
    codes._key as record_id,
    -- An id under a job names both: '24-001|01-500' is 01-500 of the job that the project stores.
    case
        when strpos(codes.origin_id, trim(projects.origin_id) || '|') = 1
            then nullif(trim(substr(codes.origin_id, length(trim(projects.origin_id)) + 2)), '')
        else nullif(trim(codes.origin_id), '')
    end as linked_id,
    codes.created_at,
    codes.updated_at,
    cast(codes.project_id as varchar) as project_id,
    coalesce(nullif(trim(codes.full_code), ''), nullif(trim(codes.code), '')) as code,
    normalize_number(coalesce(nullif(trim(codes.full_code), ''), nullif(trim(codes.code), ''))) as code_key,
    codes.name as title,
    coalesce(nullif(trim(parents.full_code), ''), nullif(trim(parents.code), '')) as parent_code,
    true as is_active
from source.cost_codes as codes
left join source.cost_codes as parents on codes.parent_id = parents.id
left join source.projects as projects on codes.project_id = projects.id
left anti join demo_projects on codes.project_id = demo_projects.id
where codes.deleted_at is null
