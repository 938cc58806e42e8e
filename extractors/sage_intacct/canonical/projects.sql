-- title: Sage Intacct projects
-- grain: one project
-- statuses: active, activeNonPosting, inactive
-- The firm has a list of project statuses of its own; where one of its words is unknown, active or inactive says it.
-- A sub-job is a project with a parent, and a project like any other.

select
    trim(id) as record_id,
    created_date_time as created_at,
    modified_date_time as updated_at,
    trim(id) as number,
    normalize_number(trim(id)) as number_key,
    trim(name) as name,
    coalesce(firm_status('projects', project_status), case
        when lower(trim(project_status)) in ('planned', 'in planning', 'bid', 'estimating') then 'draft'
        when lower(trim(project_status)) in ('canceled', 'cancelled') then 'void'
        when lower(trim(project_status)) in ('completed', 'complete', 'closed') then 'closed'
        when lower(trim(status)) = 'inactive' then 'closed'
        else 'approved'
    end) as approval_status,
    coalesce(lower(trim(status)), '') = 'active' and
        coalesce(lower(trim(project_status)), '') not in ('completed', 'complete', 'closed', 'canceled', 'cancelled') as is_active,
    nullif(trim(entity_id), '') as entity_code,
    nullif(trim(manager), '') as project_manager,
    start_date,
    end_date as completion_date,
    nullif(trim(customer), '') as customer_id
from source.projects
