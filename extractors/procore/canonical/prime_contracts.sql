-- title: Procore prime contracts
-- grain: one owner contract that is not deleted
-- statuses: Draft, Out For Bid, Out For Signature, Approved, Complete, Terminated

with demo_projects as (

    select id from source.projects where is_demo

)

select
    contracts._key as record_id,
    coalesce(nullif(trim(contracts.origin_id), ''), nullif(trim(contracts.origin_code), '')) as linked_id,
    contracts.created_at,
    contracts.updated_at,
    contracts.created_by,
    nullif(trim(contracts.number), '') as number,
    cast(contracts.project_id as varchar) as project_id,
    cast(contracts.vendor_id as varchar) as customer_id,
    coalesce(firm_status('prime_contracts', contracts.status), case lower(trim(contracts.status))
        when 'draft' then 'draft'
        when 'approved' then 'approved'
        when 'complete' then 'closed'
        when 'terminated' then 'closed'
        when 'void' then 'void'
        else 'pending'
    end) as approval_status,
    contracts.grand_total as original_amount,
    contracts.approved_change_orders as approved_change_amount,
    contracts.revised_contract_amount as revised_amount,
    try_cast(replace(contracts.retainage_percent, '%', '') as decimal(9, 6)) as retainage_percent,
    contracts.currency_iso_code as currency
from source.prime_contracts as contracts
left anti join demo_projects on contracts.project_id = demo_projects.id
where contracts.deleted_at is null
