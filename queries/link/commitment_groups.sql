-- title:    Linked commitments, compared as groups
-- entity:   commitments
-- question: What does each side say of a commitment that both have?
-- grain:    one row per linked group
-- columns:
--   group_id           PM's record id of the group
--   erp_id             one of the group's ERP records
--   project_id         PM's record id of the project
--   label              number people use
--   pm_original        PM's original amount
--   pm_changes         PM's approved changes
--   pm_revised         PM's revised amount
--   erp_original       the ERP's original amount
--   erp_changes        the ERP's approved changes
--   erp_revised        the ERP's revised amount
--   pm_status          void, closed, approved or pending
--   erp_status         void, closed, approved or pending
--   pm_vendor_id       PM's record id of the vendor
--   erp_vendor_id      the ERP's
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
        sum(pm_side.original_amount) as pm_original,
        sum(pm_side.approved_change_amount) as pm_changes,
        sum(pm_side.revised_amount) as pm_revised,
        sum(erp_side.original_amount) as erp_original,
        sum(erp_side.approved_change_amount) as erp_changes,
        sum(erp_side.revised_amount) as erp_revised,
        count(case when pm_side.approval_status in ('void', 'rejected') then 1 end) as pm_void,
        count(case when pm_side.approval_status = 'closed' then 1 end) as pm_closed,
        count(case when pm_side.approval_status = 'approved' then 1 end) as pm_approved,
        count(case when erp_side.approval_status in ('void', 'rejected') then 1 end) as erp_void,
        count(case when erp_side.approval_status = 'closed' then 1 end) as erp_closed,
        count(case when erp_side.approval_status = 'approved' then 1 end) as erp_approved,
        count(pm_side.record_id) as pm_count,
        count(erp_side.record_id) as erp_count,
        min(pm_side.vendor_id) as pm_vendor_id,
        min(erp_side.vendor_id) as erp_vendor_id,
        min(pm_side.currency) as pm_currency,
        min(erp_side.currency) as erp_currency,
        max(coalesce(pm_side.approved_at, pm_side.updated_at, pm_side.created_at)) as occurred_at,
        max(coalesce(erp_side.updated_at, erp_side.created_at)) as erp_updated_at
    from pairs
    left join pm.commitments as pm_side on pm_side.record_id = pairs.pm_id and pairs.is_first_of_pm
    left join erp.commitments as erp_side on erp_side.record_id = pairs.erp_id and pairs.is_first_of_erp
    group by pairs.group_id

)

select
    group_id,
    erp_id,
    project_id,
    label,
    cast(pm_original as decimal(18,2)) as pm_original,
    cast(pm_changes as decimal(18,2)) as pm_changes,
    cast(pm_revised as decimal(18,2)) as pm_revised,
    cast(erp_original as decimal(18,2)) as erp_original,
    cast(erp_changes as decimal(18,2)) as erp_changes,
    cast(erp_revised as decimal(18,2)) as erp_revised,
    case
        when pm_void = pm_count then 'void'
        when pm_approved > 0 then 'approved'
        when pm_closed > 0 then 'closed'
        else 'pending'
    end as pm_status,
    case
        when erp_void = erp_count then 'void'
        when erp_approved > 0 then 'approved'
        when erp_closed > 0 then 'closed'
        else 'pending'
    end as erp_status,
    pm_vendor_id,
    erp_vendor_id,
    pm_currency,
    erp_currency,
    occurred_at,
    erp_updated_at
from grouped
