-- title:    Linked commitments whose status differs
-- check:    M4
-- entity:   commitments
-- scope:    project
-- missing_on: erp
-- record_owner: pm
-- fix_side: erp
-- version:  1
-- risk:     the commitment's revised amount in PM, else in the ERP
-- question: Which commitments live on one side and are void, held or closed on the other?
-- grain:    one row per linked group
-- grace:    24 hours
-- compares: approval_status
-- fix:      Bring the ERP commitment to what PM decided.
-- columns:
--   group_id           PM's record id of the group
--   number             number in PM
--   comparison         void_in_pm, void_in_erp, closed_in_pm, held_in_erp or reopened_in_pm
--   pm_status          void, closed, approved or pending
--   erp_status         the same

-- Closed in the ERP and approved in PM is no disagreement: an ERP closes what is billed in full by itself.
with compared as (

    select
        groups.*,
        case
            when groups.pm_status = 'void' and groups.erp_status <> 'void' then 'void_in_pm'
            when groups.erp_status = 'void' and groups.pm_status <> 'void' then 'void_in_erp'
            when groups.pm_status = 'closed' and groups.erp_status in ('approved', 'pending') then 'closed_in_pm'
            when groups.pm_status = 'approved' and groups.erp_status = 'pending' then 'held_in_erp'
            when groups.pm_status = 'pending' and groups.erp_status in ('approved', 'closed') then 'reopened_in_pm'
        end as comparison
    from link.commitment_groups as groups

)

select
    'M4:' || compared.group_id as exception_key,
    compared.project_id,
    projects.number as project_number,
    compared.group_id as pm_id,
    compared.erp_id,
    compared.label,
    'commitment ' || compared.label || ' is ' || compared.pm_status || ' in PM and ' || compared.erp_status || ' in the ERP' as detail,
    compared.pm_status as pm_value,
    compared.erp_status as erp_value,
    cast(abs(coalesce(compared.pm_revised, compared.erp_revised, 0)) as decimal(18,2)) as amount_at_risk,
    coalesce(compared.pm_currency, compared.erp_currency, setting_text('currency')) as currency,
    case
        when compared.comparison = 'void_in_erp' then greatest(compared.occurred_at, compared.erp_updated_at)
        else compared.occurred_at
    end as occurred_at,
    'unknown' as cause,
    cast(null as varchar) as explained_by,
    compared.group_id,
    compared.label as number,
    compared.comparison,
    compared.pm_status,
    compared.erp_status
from compared
left join pm.projects on projects.record_id = compared.project_id
where compared.comparison is not null
