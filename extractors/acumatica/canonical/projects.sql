-- title: Acumatica projects
-- grain: one project; the non-project code X is none
-- statuses: Planned, In Planning, Pending Approval, Active, Completed, Suspended, Canceled

select
    trim(project_id) as record_id,
    last_modified_date_time as updated_at,
    trim(project_id) as number,
    normalize_number(trim(project_id)) as number_key,
    trim(description) as name,
    coalesce(firm_status('projects', status), case lower(trim(status))
        when 'planned' then 'draft'
        when 'in planning' then 'draft'
        when 'active' then 'approved'
        when 'suspended' then 'approved'
        when 'completed' then 'closed'
        when 'canceled' then 'void'
        else 'pending'
    end) as approval_status,
    coalesce(lower(trim(status)), '') = 'active' as is_active,
    nullif(trim(project_manager), '') as project_manager,
    start_date,
    end_date as completion_date,
    nullif(trim(customer), '') as customer_id
from source.projects
where trim(project_id) <> 'X'
