-- title:    ERP projects and the PM projects that they are
-- question: Under which project does a person look for an ERP record?
-- grain:    one row per ERP project
-- columns:
--   source             the connection
--   erp_id             ERP's record id of the project
--   pm_id              PM's record id; null = not linked
--   project_id         PM's record id, else the ERP's
--   project_number     PM's number, else the ERP's

with linked as (

    select erp_id, min(pm_id) as pm_id
    from link.projects
    group by erp_id

)

select
    erp_side.source,
    erp_side.record_id as erp_id,
    linked.pm_id,
    coalesce(linked.pm_id, erp_side.record_id) as project_id,
    coalesce(pm_side.number, erp_side.number) as project_number
from erp.projects as erp_side
left join linked on linked.erp_id = erp_side.record_id
left join pm.projects as pm_side on pm_side.record_id = linked.pm_id
