-- title: Sage Intacct tasks
-- grain: one standard task, or one task of a project that has others than the standard ones
-- The company's list are the standard tasks: a project takes its tasks from there, and PM must take its codes from there too. A project
-- with any task of its own is compared by all of its tasks, because they are its whole list.
--   26-101 with 03-100 (standard) only → the company's 03-100; 26-102 with 03-100 and 99-001 (its own) → both, as codes of 26-102.

with standard as (

    select trim(id) as code, key, trim(name) as title, nullif(trim(parent_task), '') as parent_code,
        coalesce(lower(trim(status)), 'active') <> 'inactive' as is_active, created_date_time, modified_date_time
    from source.standard_tasks

),

tasks as (

    select tasks.*, trim(tasks.project) as project_id, trim(tasks.id) as code, standard.code is not null as is_standard
    from source.tasks as tasks
    left join standard on standard.code = coalesce(nullif(trim(tasks.standard_task), ''), trim(tasks.id))
    where nullif(trim(tasks.project), '') is not null

),

apart as (

    select project_id from tasks where not is_standard group by project_id

)

select
    code as record_id,
    created_date_time as created_at,
    modified_date_time as updated_at,
    arrow_cast(null, 'Utf8') as project_id,
    code,
    normalize_number(code) as code_key,
    title,
    parent_code,
    is_active
from standard

union all

select
    concat(tasks.project_id, '|', tasks.code) as record_id,
    tasks.created_date_time as created_at,
    tasks.modified_date_time as updated_at,
    tasks.project_id,
    tasks.code,
    normalize_number(tasks.code) as code_key,
    trim(tasks.name) as title,
    nullif(trim(tasks.parent_task), '') as parent_code,
    true as is_active
from tasks
inner join apart on apart.project_id = tasks.project_id
