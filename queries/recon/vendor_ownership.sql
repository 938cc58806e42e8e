-- title:    Where vendors are born
-- check:    D2
-- kind:     summary
-- entity:   vendors
-- scope:    firm
-- record_owner: erp
-- fix_side: pm
-- version:  1
-- risk:     none: a score
-- question: How many vendors did PM have before the ERP, month by month, and who entered them?
-- grain:    one row per month of creation in PM and creator
-- requires: pm.vendors.created_at, erp.vendors.created_at
-- fix:      The ERP owns vendors: take the right to create companies from those who do not need it.
-- columns:
--   month              month of creation in PM
--   created_by         who entered them, where PM tells
--   vendor_count       PM vendors created then
--   pm_first_count     of these, linked ones that the ERP got later
--   erp_first_count    linked ones that the ERP had before, or on the same day
--   unlinked_count     those that the ERP still does not have

with vendors as (

    select
        cast(date_trunc('month', pm_side.created_at) as date) as month,
        pm_side.created_by,
        links.erp_id,
        -- A connector writes both within the day: which clock was first says nothing then.
        to_unixtime(erp_side.created_at) - to_unixtime(pm_side.created_at) > 86400 as is_pm_first
    from pm.vendors as pm_side
    left join (select pm_id, min(erp_id) as erp_id from link.vendors group by pm_id) as links on links.pm_id = pm_side.record_id
    left join erp.vendors as erp_side on erp_side.record_id = links.erp_id
    where pm_side.created_at is not null

)

select
    month,
    created_by,
    count(*) as vendor_count,
    count(case when is_pm_first then 1 end) as pm_first_count,
    count(case when not is_pm_first then 1 end) as erp_first_count,
    count(case when erp_id is null then 1 end) as unlinked_count
from vendors
group by month, created_by
order by month, created_by
