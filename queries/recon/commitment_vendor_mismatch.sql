-- title:    Linked commitments with another vendor
-- check:    M3
-- entity:   commitments
-- scope:    project
-- record_owner: pm
-- fix_side: erp
-- version:  1
-- risk:     the commitment's revised amount in PM
-- question: Which commitments name one vendor here and another there?
-- grain:    one row per linked group
-- requires: pm.commitments.vendor_id, erp.commitments.vendor_id
-- fix:      Correct the vendor in the ERP; a commitment with bills must be cancelled and sent again.
-- columns:
--   group_id           PM's record id of the group
--   number             number in PM
--   pm_vendor_id       PM's record id of the vendor
--   pm_vendor          its name
--   erp_vendor_id      the ERP's record id of its vendor
--   erp_vendor         its name

-- A PM vendor without counterpart is V1's. One linked to several ERP vendors agrees with each of them.
with different as (

    select groups.*
    from link.commitment_groups as groups
    left semi join link.vendors as links on links.pm_id = groups.pm_vendor_id
    left anti join link.vendors as same on same.pm_id = groups.pm_vendor_id and same.erp_id = groups.erp_vendor_id
    where
        groups.erp_vendor_id is not null and
        groups.pm_status <> 'void' and
        groups.erp_status <> 'void'

)

select
    'M3:' || different.group_id as exception_key,
    different.project_id,
    projects.number as project_number,
    different.group_id as pm_id,
    different.erp_id,
    different.label,
    'commitment ' || different.label || ' is with ' || coalesce(pm_vendors.name, different.pm_vendor_id) || ' in PM and with ' ||
        coalesce(erp_vendors.name, different.erp_vendor_id) || ' in the ERP' as detail,
    coalesce(pm_vendors.name, different.pm_vendor_id) as pm_value,
    coalesce(erp_vendors.name, different.erp_vendor_id) as erp_value,
    cast(abs(coalesce(different.pm_revised, different.pm_original, 0)) as decimal(18,2)) as amount_at_risk,
    coalesce(different.pm_currency, setting_text('currency')) as currency,
    different.occurred_at,
    'unknown' as cause,
    cast(null as varchar) as explained_by,
    different.group_id,
    different.label as number,
    different.pm_vendor_id,
    pm_vendors.name as pm_vendor,
    different.erp_vendor_id,
    erp_vendors.name as erp_vendor
from different
left join pm.vendors as pm_vendors on pm_vendors.record_id = different.pm_vendor_id
left join erp.vendors as erp_vendors on erp_vendors.record_id = different.erp_vendor_id
left join pm.projects on projects.record_id = different.project_id
