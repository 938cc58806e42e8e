-- title: Acumatica projects as prime contracts
-- grain: one project with a customer
-- Acumatica has no prime contract: the connector exports it as the project's revenue budget. Its key is the project's, and so is the
-- contract_id of what is billed or changed on it. The contract sum is in the budget, which is not read here: amounts are left out.

select
    trim(project_id) as record_id,
    last_modified_date_time as updated_at,
    trim(project_id) as number,
    trim(project_id) as project_id,
    trim(customer) as customer_id,
    case lower(trim(status))
        when 'planned' then 'draft'
        when 'in planning' then 'draft'
        when 'active' then 'approved'
        when 'suspended' then 'approved'
        when 'completed' then 'closed'
        when 'canceled' then 'void'
        else 'pending'
    end as approval_status,
    retainage_pct as retainage_percent,
    nullif(trim(project_currency), '') as currency
from source.projects
where trim(project_id) <> 'X' and nullif(trim(customer), '') is not null
