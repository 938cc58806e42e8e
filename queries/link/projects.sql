-- title:    Projects linked across the two systems
-- question: Which PM project is which ERP project, and how do we know?
-- grain:    one row per linked pair; rows that share group_id are compared as one
-- kind:     links
-- entity:   projects
-- columns:
--   group_id           what is compared as one: the smallest PM record_id of the group
--   pm_id              PM's record_id
--   erp_id             ERP's record_id
--   method             the first method that hit: crosswalk, explicit, number
--   score              worth of the method: 1.00 stored by somebody, less where concluded

-- Two ERPs may both have a job 24-001: then its name tells which one is meant.
select
    'pm' as side,
    source,
    books_of(source) as partner_source,
    normalize_name(name) as label_key,
    record_id,
    linked_id as stored_id,
    number,
    number_key
from pm.projects

union all

select
    'erp' as side,
    source,
    cast(null as varchar) as partner_source,
    normalize_name(name) as label_key,
    record_id,
    linked_id as stored_id,
    number,
    number_key
from erp.projects
