-- title:    Linked change orders whose amounts differ
-- check:    O3
-- entity:   change_orders
-- scope:    project
-- record_owner: pm
-- fix_side: erp
-- version:  1
-- risk:     the difference without its sign; 0 where currencies differ
-- question: Which approved change orders has the ERP for another amount?
-- grain:    one row per linked group
-- parameters: amount_tolerance = 0.01
-- compares: amount
-- fix:      Correct the ERP change order, or resend it from PM.
-- columns:
--   group_id           PM's record id of the group
--   kind               prime or commitment
--   number             the number people use
--   comparison         differs, missing_in_pm, missing_in_erp or currency_differs
--   pm_amount          PM's amount
--   erp_amount         the ERP's
--   difference         PM minus ERP; a side without an amount counts as 0

-- Until it is approved PM may change the amount; void and rejected ones are O5's.
with compared as (

    select
        groups.*,
        coalesce(groups.pm_amount, 0) - coalesce(groups.erp_amount, 0) as difference,
        coalesce(groups.pm_currency <> groups.erp_currency, false) as currency_differs
    from link.change_order_groups as groups
    where
        groups.pm_status = 'approved' and
        groups.erp_status <> 'void'

)

select
    'O3:' || compared.group_id as exception_key,
    compared.project_id,
    projects.number as project_number,
    compared.group_id as pm_id,
    compared.erp_id,
    compared.label,
    'change order ' || compared.label || ' is ' || coalesce(cast(compared.pm_amount as varchar), 'not told') ||
        case when compared.currency_differs then ' ' || compared.pm_currency else '' end || ' in PM and ' ||
        coalesce(cast(compared.erp_amount as varchar), 'not told') ||
        case when compared.currency_differs then ' ' || compared.erp_currency else '' end || ' in the ERP' as detail,
    cast(compared.pm_amount as varchar) as pm_value,
    cast(compared.erp_amount as varchar) as erp_value,
    cast(case when compared.currency_differs then 0 else abs(compared.difference) end as decimal(18,2)) as amount_at_risk,
    coalesce(compared.pm_currency, compared.erp_currency, setting_text('currency')) as currency,
    compared.occurred_at,
    case when compared.currency_differs then 'currency_differs' else 'unknown' end as cause,
    cast(null as varchar) as explained_by,
    compared.group_id,
    compared.kind,
    compared.label as number,
    case
        when compared.currency_differs then 'currency_differs'
        when compared.pm_amount is null then 'missing_in_pm'
        when compared.erp_amount is null then 'missing_in_erp'
        else 'differs'
    end as comparison,
    compared.pm_amount,
    compared.erp_amount,
    cast(case when not compared.currency_differs then compared.difference end as decimal(18,2)) as difference
from compared
left join pm.projects on projects.record_id = compared.project_id
where compared.currency_differs or abs(compared.difference) > setting_decimal('amount_tolerance')
