-- title:    Commitments linked across the two systems
-- question: Which PM subcontract or purchase order is which ERP one, and how do we know?
-- grain:    one row per linked pair; rows that share group_id are compared as one
-- kind:     links
-- entity:   commitments
-- columns:
--   group_id           what is compared as one: the smallest PM record_id of the group
--   pm_id              PM's record_id
--   erp_id             ERP's record_id
--   method             the first method that hit: crosswalk, explicit, number
--   score              worth of the method: 1.00 stored by somebody, less where concluded

-- An ERP that numbers orders itself keeps PM's number as reference; another's reference is the supplier's quote. So it comes second.
select
    'pm' as side,
    commitments.source,
    coalesce(project_links.erp_source, books_of(commitments.source), '?') as partner_source,
    commitments.record_id,
    commitments.linked_id as stored_id,
    commitments.number,
    project_links.erp_id as parent,
    commitments.kind,
    commitments.number_key,
    commitments.number_key as second_number,
    commitments.approval_status in ('void', 'rejected') as is_void
from pm.commitments
left join shared.pm_connections as project_links on project_links.pm_id = commitments.project_id

union all

select
    'erp' as side,
    commitments.source,
    jobs.pm_source as partner_source,
    commitments.record_id,
    commitments.linked_id as stored_id,
    commitments.number,
    commitments.project_id as parent,
    commitments.kind,
    commitments.number_key,
    normalize_number(commitments.external_reference) as second_number,
    commitments.approval_status in ('void', 'rejected') as is_void
from erp.commitments
left join shared.erp_connections as jobs on jobs.erp_id = commitments.project_id
