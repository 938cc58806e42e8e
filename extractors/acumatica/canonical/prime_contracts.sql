-- title: Acumatica projects as prime contracts
-- grain: one project with a customer
-- Acumatica has no prime contract: the connector exports it as the project's revenue budget. Its key is the project's, and so is the
-- contract_id of what is billed or changed on it. The contract sum is the sum of its income rows; without any it is unknown, not 0.

with revenue as (

    select
        trim(project_id) as project_id,
        sum(original_budgeted_amount) as original_amount,
        sum(budgeted_co_amount) as approved_change_amount,
        sum(revised_budgeted_amount) as revised_amount
    from source.project_budgets
    where lower(trim(type)) = 'income'
    group by 1

)

select
    trim(projects.project_id) as record_id,
    projects.last_modified_date_time as updated_at,
    trim(projects.project_id) as number,
    trim(projects.project_id) as project_id,
    trim(projects.customer) as customer_id,
    coalesce(firm_status('projects', projects.status), case lower(trim(projects.status))
        when 'planned' then 'draft'
        when 'in planning' then 'draft'
        when 'active' then 'approved'
        when 'suspended' then 'approved'
        when 'completed' then 'closed'
        when 'canceled' then 'void'
        else 'pending'
    end) as approval_status,
    revenue.original_amount,
    revenue.approved_change_amount,
    revenue.revised_amount,
    projects.retainage_pct as retainage_percent,
    nullif(trim(projects.project_currency), '') as currency
from source.projects as projects
left join revenue on trim(projects.project_id) = revenue.project_id
where trim(projects.project_id) <> 'X' and nullif(trim(projects.customer), '') is not null
