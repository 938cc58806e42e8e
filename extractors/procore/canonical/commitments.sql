-- title: Procore subcontracts and purchase orders
-- grain: one contract that is not deleted
-- statuses: Draft, Out For Bid, Out For Signature, Approved, Complete, Terminated, Void; Draft, Processing, Submitted, Partially
--   Received, Received, Approved, Closed
-- A purchase order that is received was approved before. Complete, Closed and Terminated were approved and take no more.

with demo_projects as (

    select id from source.projects where is_demo

),

contracts as (

    select 'subcontract' as kind, _key, id, project_id, vendor_id, number, title, status,
        firm_status('work_order_contracts', status) as firm_status, executed, execution_date, grand_total,
        approved_change_orders, revised_contract, total_requisitions_amount, total_payments, retainage_percent, currency_iso_code,
        origin_id, origin_code, created_at, updated_at
    from source.work_order_contracts
    where deleted_at is null

    union all

    select 'purchase_order' as kind, _key, id, project_id, vendor_id, number, title, status,
        firm_status('purchase_order_contracts', status) as firm_status, executed, execution_date, grand_total,
        approved_change_orders, revised_contract, total_requisitions_amount, total_payments, retainage_percent, currency_iso_code,
        origin_id, origin_code, created_at, updated_at
    from source.purchase_order_contracts
    where deleted_at is null

)

select
    contracts._key as record_id,
    coalesce(nullif(trim(contracts.origin_id), ''), nullif(trim(contracts.origin_code), '')) as linked_id,
    contracts.created_at,
    contracts.updated_at,
    contracts.kind,
    nullif(trim(contracts.number), '') as number,
    normalize_number(nullif(trim(contracts.number), '')) as number_key,
    nullif(trim(contracts.origin_code), '') as external_reference,
    cast(contracts.project_id as varchar) as project_id,
    cast(contracts.vendor_id as varchar) as vendor_id,
    contracts.title,
    coalesce(contracts.firm_status, case lower(trim(contracts.status))
        when 'draft' then 'draft'
        when 'approved' then 'approved'
        when 'partially received' then 'approved'
        when 'received' then 'approved'
        when 'complete' then 'closed'
        when 'closed' then 'closed'
        when 'terminated' then 'closed'
        when 'void' then 'void'
        else 'pending'
    end) as approval_status,
    contracts.execution_date as executed_on,
    contracts.grand_total as original_amount,
    contracts.approved_change_orders as approved_change_amount,
    contracts.revised_contract as revised_amount,
    contracts.total_requisitions_amount as invoiced_amount,
    contracts.total_payments as paid_amount,
    try_cast(replace(contracts.retainage_percent, '%', '') as decimal(9, 6)) as retainage_percent,
    contracts.currency_iso_code as currency
from contracts
left anti join demo_projects on contracts.project_id = demo_projects.id
