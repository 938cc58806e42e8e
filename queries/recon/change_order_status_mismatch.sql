-- title:    Linked change orders whose status differs
-- check:    O5
-- entity:   change_orders
-- scope:    project
-- missing_on: erp
-- record_owner: pm
-- fix_side: erp
-- version:  1
-- risk:     the amount on the side where the change order lives
-- question: Which change orders are void, rejected, reopened or held on one side only?
-- grain:    one row per linked group
-- grace:    24 hours
-- compares: approval_status
-- fix:      Bring the ERP change order to what PM decided: release, reverse or cancel it.
-- columns:
--   group_id           PM's record id of the group
--   kind               prime or commitment
--   number             the number people use
--   comparison         void_in_pm, void_in_erp, reopened_in_pm, held_in_erp or unreleased_in_erp
--   pm_status          void, approved or pending
--   erp_status         void, held, unreleased or released
--   pm_amount          PM's amount
--   erp_amount         the ERP's

-- Approved is not released only where the ERP has a word for released.
with releases as (

    select distinct coalesce(source, '') as source from erp.change_orders where approval_status = 'closed'

),

compared as (

    select
        groups.*,
        case
            when groups.pm_status = 'void' and groups.erp_status <> 'void' then 'void_in_pm'
            when groups.erp_status = 'void' and groups.pm_status <> 'void' then 'void_in_erp'
            when groups.pm_status = 'pending' and groups.erp_status in ('released', 'unreleased') then 'reopened_in_pm'
            when groups.pm_status = 'approved' and groups.erp_status = 'held' then 'held_in_erp'
            when groups.pm_status = 'approved' and groups.erp_status = 'unreleased' and releases.source is not null then 'unreleased_in_erp'
        end as comparison
    from link.change_order_groups as groups
    left join erp.change_orders as erp_side on erp_side.record_id = groups.erp_id
    left join releases on releases.source = coalesce(erp_side.source, '')

)

select
    'O5:' || compared.group_id as exception_key,
    compared.project_id,
    projects.number as project_number,
    compared.group_id as pm_id,
    compared.erp_id,
    compared.label,
    'change order ' || compared.label || ' is ' || compared.pm_status || ' in PM and ' || compared.erp_status || ' in the ERP' as detail,
    compared.pm_status as pm_value,
    compared.erp_status as erp_value,
    cast(abs(coalesce(compared.pm_amount, compared.erp_amount, 0)) as decimal(18,2)) as amount_at_risk,
    coalesce(compared.pm_currency, compared.erp_currency, setting_text('currency')) as currency,
    -- A side that moved later starts the grace anew: the ERP may have been voided long after PM approved.
    case
        when compared.comparison = 'void_in_erp' then greatest(compared.occurred_at, compared.erp_updated_at)
        else compared.occurred_at
    end as occurred_at,
    'unknown' as cause,
    cast(null as varchar) as explained_by,
    compared.group_id,
    compared.kind,
    compared.label as number,
    compared.comparison,
    compared.pm_status,
    compared.erp_status,
    compared.pm_amount,
    compared.erp_amount
from compared
left join pm.projects on projects.record_id = compared.project_id
where compared.comparison is not null
