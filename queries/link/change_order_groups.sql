-- title:    Linked change orders, compared as groups
-- entity:   change_orders
-- question: What does each side say of a change order that both have?
-- grain:    one row per linked group
-- columns:
--   group_id           PM's record id of the group
--   erp_id             one of the group's ERP records
--   project_id         PM's record id of the project
--   label              number people use
--   kind               prime or commitment
--   pm_amount          living PM change orders together
--   erp_amount         living ERP change orders together; null if none tells an amount
--   pm_status          void, approved or pending
--   erp_status         void, held, unreleased or released
--   pm_currency        currency of the PM side
--   erp_currency       currency of the ERP side
--   occurred_at        when PM approved or last changed it, UTC
--   erp_updated_at     when the ERP last changed it, UTC

with pairs as (

    select * from shared.group_turns

),

grouped as (

    select
        pairs.group_id,
        min(pairs.erp_id) as erp_id,
        min(pm_side.project_id) as project_id,
        min(coalesce(pm_side.number, pm_side.record_id)) as label,
        min(pm_side.kind) as kind,
        sum(case when coalesce(pm_side.approval_status, 'pending') not in ('void', 'rejected') then pm_side.amount end) as pm_amount,
        sum(case when coalesce(erp_side.approval_status, 'pending') not in ('void', 'rejected') then erp_side.amount end) as erp_amount,
        count(case when coalesce(pm_side.approval_status, 'pending') not in ('void', 'rejected') then pm_side.record_id end) as pm_living,
        count(case when pm_side.approval_status in ('approved', 'closed') then 1 end) as pm_approved,
        count(case when coalesce(erp_side.approval_status, 'pending') not in ('void', 'rejected') then erp_side.record_id end) as erp_living,
        count(case when coalesce(erp_side.approval_status, 'pending') in ('draft', 'pending') then erp_side.record_id end) as erp_held,
        count(case when erp_side.approval_status = 'approved' then 1 end) as erp_unreleased,
        min(pm_side.currency) as pm_currency,
        min(erp_side.currency) as erp_currency,
        max(coalesce(pm_side.approved_at, pm_side.updated_at, pm_side.created_at)) as occurred_at,
        max(coalesce(erp_side.updated_at, erp_side.created_at)) as erp_updated_at
    from pairs
    left join pm.change_orders as pm_side on pm_side.record_id = pairs.pm_id and pairs.is_first_of_pm
    left join erp.change_orders as erp_side on erp_side.record_id = pairs.erp_id and pairs.is_first_of_erp
    group by pairs.group_id

)

select
    group_id,
    erp_id,
    project_id,
    label,
    kind,
    cast(pm_amount as decimal(18,2)) as pm_amount,
    cast(erp_amount as decimal(18,2)) as erp_amount,
    case when pm_living = 0 then 'void' when pm_approved > 0 then 'approved' else 'pending' end as pm_status,
    case
        when erp_living = 0 then 'void'
        when erp_held > 0 then 'held'
        when erp_unreleased > 0 then 'unreleased'
        else 'released'
    end as erp_status,
    pm_currency,
    erp_currency,
    occurred_at,
    erp_updated_at
from grouped
