-- title:    Change orders in the ERP with no PM source
-- check:    O4
-- entity:   change_orders
-- scope:    project
-- missing_on: pm
-- record_owner: pm
-- fix_side: erp
-- version:  2
-- risk:     the change order's amount, without its sign
-- question: Which change orders were entered in the ERP, on projects that PM runs?
-- grain:    one row per ERP change order on one contract
-- grace:    24 hours
-- fix:      Enter it in PM and send it, or reverse it in the ERP.
-- columns:
--   kind               prime or commitment
--   number             ERP's number
--   external_reference PM's number as the ERP keeps it
--   contract_id        ERP's record id of the contract
--   amount             change of the contract sum
--   approval_status    its status in the ERP

with missing as (

    select change_orders.*, projects.pm_id, projects.project_number
    from erp.change_orders as change_orders
    inner join link.erp_projects as projects on projects.erp_id = change_orders.project_id and projects.pm_id is not null
    left join shared.erp_connections as jobs on jobs.erp_id = change_orders.project_id
    left anti join link.change_orders as links on links.erp_id = change_orders.record_id
    where
        coalesce(change_orders.approval_status, 'pending') not in ('void', 'rejected') and
        -- What PM tells no change orders of is not missing there: of Buildertrend's only the client's are exported.
        not setting_list_contains('not_mapped', 'pm.change_orders.' || coalesce(change_orders.kind, '')) and
        not coalesce(setting_list_contains('not_mapped', jobs.pm_source || '.change_orders.' || change_orders.kind), false)

)

select
    'O4:' || missing.record_id as exception_key,
    missing.pm_id as project_id,
    missing.project_number,
    cast(null as varchar) as pm_id,
    missing.record_id as erp_id,
    coalesce(missing.number, missing.record_id) as label,
    'change order ' || coalesce(missing.number, missing.record_id) || coalesce(' (' || missing.external_reference || ')', '') || ' over ' ||
        coalesce(cast(missing.amount as varchar), 'no amount') || ' is in the ERP and not in PM' as detail,
    cast(null as varchar) as pm_value,
    cast(missing.amount as varchar) as erp_value,
    cast(abs(missing.amount) as decimal(18,2)) as amount_at_risk,
    coalesce(missing.currency, setting_text('currency')) as currency,
    coalesce(missing.created_at, missing.approved_at, missing.updated_at) as occurred_at,
    case when missing.external_reference is null then 'entered on the wrong side' else 'unknown' end as cause,
    cast(null as varchar) as explained_by,
    missing.kind,
    missing.number,
    missing.external_reference,
    missing.contract_id,
    missing.amount,
    missing.approval_status
from missing
