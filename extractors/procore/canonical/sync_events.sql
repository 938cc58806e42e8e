-- title: Procore requests of the ERP connector
-- grain: one request detail of the accounting integration
-- record_id is the record that the event is about. Read only where the service user may (`erp_requests` of the source); item types are Procore's, as the connector's interface names them.

with demo_projects as (

    select id from source.projects where is_demo

)

select
    coalesce(cast(details.item_id as varchar), details._key) as record_id,
    details.created_at,
    details.updated_at,
    case lower(trim(details.status)) when 'success' then 'synced' else lower(trim(details.status)) end as sync_status,
    case when lower(trim(details.status)) in ('failed', 'rejected', 'stale') then nullif(trim(details.messages), '') end as sync_error,
    case when lower(trim(details.status)) = 'success' then details.updated_at end as synced_at,
    case lower(trim(details.item_type))
        when 'vendor' then 'vendors'
        when 'project' then 'projects'
        when 'cost_code' then 'cost_codes'
        when 'line_item_type' then 'cost_types'
        when 'budget' then 'budget_lines'
        when 'work_order_contract' then 'commitments'
        when 'purchase_order_contract' then 'commitments'
        when 'prime_contract' then 'prime_contracts'
        when 'change_order' then 'change_orders'
        when 'requisition' then 'vendor_invoices'
        when 'payment_application' then 'owner_invoices'
        when 'contract_payment' then 'payments'
        when 'invoice_payment' then 'payments'
        when 'item' then 'job_costs'
        else lower(trim(details.item_type))
    end as entity,
    details.status,
    nullif(trim(details.messages), '') as message,
    coalesce(details.updated_at, details.created_at) as at
from source.erp_request_details as details
left anti join demo_projects on details.project_id = demo_projects.id
