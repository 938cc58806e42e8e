-- title:    Documents that PM approved and accounting holds up
-- question: Which linked bills and invoices stand in the ERP on hold, or before their approval or release?
-- grain:    one row per linked group that is approved in PM and of which the ERP has released nothing
-- columns:
--   ledger             ap or ar
--   entity             vendor_invoices or owner_invoices
--   group_id           PM's record id of the group
--   erp_id             the ERP's record id; of several the first
--   project_id         PM's record id of the project
--   label              PM's number
--   approval_status    in the ERP: draft (on hold) or pending
--   since              since when both PM's approval and the ERP's document are there, UTC; null where nobody tells
--   amount             PM's net amount
--   currency           of the amount

with groups as (

    select 'vendor_invoices' as entity, group_id, pm_id, erp_id from link.vendor_invoices
    union all
    select 'owner_invoices' as entity, group_id, pm_id, erp_id from link.owner_invoices

),

approved as (

    select groups.entity, groups.group_id, min(invoices.project_id) as project_id, min(invoices.number) as number,
        max(coalesce(invoices.approved_at, invoices.updated_at, invoices.created_at)) as approved_at,
        sum(invoices.net_amount) as amount, min(invoices.currency) as currency
    from (select distinct entity, group_id, pm_id from groups) as groups
    inner join (
        select 'vendor_invoices' as entity, record_id, project_id, number, approval_status, approved_at, updated_at, created_at, net_amount,
            currency
        from pm.vendor_invoices
        union all
        select 'owner_invoices' as entity, record_id, project_id, number, approval_status, approved_at, updated_at, created_at, net_amount,
            currency
        from pm.owner_invoices
    ) as invoices on invoices.entity = groups.entity and invoices.record_id = groups.pm_id
    where invoices.approval_status in ('approved', 'closed')
    group by groups.entity, groups.group_id

),

booked as (

    select groups.entity, groups.group_id, min(documents.record_id) as erp_id, min(documents.approval_status) as approval_status,
        max(documents.created_at) as created_at,
        bool_or(documents.approval_status in ('approved', 'closed')) as is_released
    from (select distinct entity, group_id, erp_id from groups) as groups
    inner join (
        select 'vendor_invoices' as entity, record_id, approval_status, created_at from erp.vendor_invoices
        union all
        select 'owner_invoices' as entity, record_id, approval_status, created_at from erp.owner_invoices
    ) as documents on documents.entity = groups.entity and documents.record_id = groups.erp_id
    where coalesce(documents.approval_status, 'pending') not in ('void', 'rejected')
    group by groups.entity, groups.group_id

)

select
    case approved.entity when 'owner_invoices' then 'ar' else 'ap' end as ledger,
    approved.entity,
    approved.group_id,
    booked.erp_id,
    approved.project_id,
    coalesce(approved.number, approved.group_id) as label,
    coalesce(booked.approval_status, 'pending') as approval_status,
    greatest(approved.approved_at, coalesce(booked.created_at, approved.approved_at)) as since,
    cast(approved.amount as decimal(18,2)) as amount,
    approved.currency
from approved
inner join booked on booked.entity = approved.entity and booked.group_id = approved.group_id
where not booked.is_released
