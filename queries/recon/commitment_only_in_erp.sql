-- title:    Commitments in the ERP with no PM source
-- check:    M6
-- entity:   commitments
-- scope:    project
-- missing_on: pm
-- record_owner: pm
-- fix_side: erp
-- version:  1
-- risk:     the revised amount, else the original
-- question: Which commitments were entered in the ERP, on projects that PM runs?
-- grain:    one row per ERP commitment
-- grace:    24 hours
-- fix:      Enter it in PM and send it, or cancel it in the ERP.
-- columns:
--   kind               subcontract or purchase_order
--   number             ERP's number
--   title              title as written
--   vendor_id          ERP's record id of the vendor
--   amount             revised, else original
--   approval_status    its status in the ERP

with missing as (

    select
        commitments.*,
        coalesce(commitments.revised_amount, commitments.original_amount) as amount,
        projects.pm_id,
        projects.project_number
    from erp.commitments as commitments
    inner join link.erp_projects as projects on projects.erp_id = commitments.project_id and projects.pm_id is not null
    left anti join link.commitments as links on links.erp_id = commitments.record_id
    where coalesce(commitments.approval_status, 'pending') not in ('void', 'rejected')

)

select
    'M6:' || missing.record_id as exception_key,
    missing.pm_id as project_id,
    missing.project_number,
    cast(null as varchar) as pm_id,
    missing.record_id as erp_id,
    coalesce(missing.number, missing.record_id) as label,
    replace(coalesce(missing.kind, 'commitment'), '_', ' ') || ' ' || coalesce(missing.number, missing.record_id) || ' over ' ||
        coalesce(cast(missing.amount as varchar), 'no amount') || ' is in the ERP and not in PM' as detail,
    cast(null as varchar) as pm_value,
    cast(missing.amount as varchar) as erp_value,
    cast(abs(missing.amount) as decimal(18,2)) as amount_at_risk,
    coalesce(missing.currency, setting_text('currency')) as currency,
    coalesce(missing.created_at, missing.approved_at, missing.updated_at) as occurred_at,
    'entered on the wrong side' as cause,
    cast(null as varchar) as explained_by,
    missing.kind,
    missing.number,
    missing.title,
    missing.vendor_id,
    missing.amount,
    missing.approval_status
from missing
