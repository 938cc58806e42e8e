-- title:    Cost codes linked across the two systems
-- question: Which PM cost code is which ERP cost code, and how do we know?
-- grain:    one row per linked pair; rows that share group_id are compared as one
-- kind:     links
-- entity:   cost_codes
-- columns:
--   group_id           what is compared as one: the smallest PM record_id of the group
--   pm_id              PM's record_id
--   erp_id             ERP's record_id
--   method             the first method that hit: crosswalk, explicit, number
--   score              worth of the method: 1.00 stored by somebody, less where concluded

with coded_projects as (

    select distinct project_id
    from erp.cost_codes
    where project_id is not null

)

-- PM codes of a project stand against the ERP's codes of that project, or its company list where the project has none.
select
    'pm' as side,
    cost_codes.source,
    coalesce(project_links.erp_source, books_of(cost_codes.source)) as partner_source,
    true as is_shared,
    cost_codes.record_id,
    cost_codes.linked_id as stored_id,
    cost_codes.code as number,
    case when coded_projects.project_id is null then '' else project_links.erp_id end as parent,
    cost_codes.cost_type as kind,
    cost_codes.code_key as number_key,
    -- One company code serves many projects, but once in each.
    cost_codes.project_id as place
from pm.cost_codes
left join shared.pm_connections as project_links on project_links.pm_id = cost_codes.project_id
left join coded_projects on coded_projects.project_id = project_links.erp_id

union all

select
    'erp' as side,
    cost_codes.source,
    jobs.pm_source as partner_source,
    true as is_shared,
    cost_codes.record_id,
    cost_codes.linked_id as stored_id,
    cost_codes.code as number,
    coalesce(cost_codes.project_id, '') as parent,
    cost_codes.cost_type as kind,
    cost_codes.code_key as number_key,
    cast(null as text) as place
from erp.cost_codes
left join shared.erp_connections as jobs on jobs.erp_id = cost_codes.project_id
