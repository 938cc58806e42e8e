-- title:    Documents that PM approved and accounting holds up
-- grain:    one row per linked group of `entity` that is approved in PM and of which the ERP has released nothing

with approved as (

    select links.group_id, min(invoices.project_id) as project_id, min(invoices.number) as number,
        max(coalesce(invoices.approved_at, invoices.updated_at, invoices.created_at)) as approved_at,
        sum(invoices.net_amount) as amount, min(invoices.currency) as currency
    from (select distinct group_id, pm_id from link.entity) as links
    inner join pm.entity as invoices on invoices.record_id = links.pm_id
    where invoices.approval_status in ('approved', 'closed')
    group by links.group_id

),

booked as (

    select links.group_id, min(documents.record_id) as erp_id, min(documents.approval_status) as approval_status,
        max(documents.created_at) as created_at,
        bool_or(documents.approval_status in ('approved', 'closed')) as is_released
    from (select distinct group_id, erp_id from link.entity) as links
    inner join erp.entity as documents on documents.record_id = links.erp_id
    where coalesce(documents.approval_status, 'pending') not in ('void', 'rejected')
    group by links.group_id

)

select
    approved.group_id,
    booked.erp_id,
    approved.project_id,
    coalesce(approved.number, approved.group_id) as label,
    coalesce(booked.approval_status, 'pending') as approval_status,
    greatest(approved.approved_at, coalesce(booked.created_at, approved.approved_at)) as since,
    cast(approved.amount as decimal(18,2)) as amount,
    approved.currency
from approved
inner join booked on booked.group_id = approved.group_id
where not booked.is_released
