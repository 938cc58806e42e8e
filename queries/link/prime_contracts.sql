-- title:    Owner contracts linked across the two systems
-- question: Which PM owner contract is which ERP one, and how do we know?
-- grain:    one row per linked pair; rows that share group_id are compared as one
-- kind:     links
-- entity:   prime_contracts
-- columns:
--   group_id           what is compared as one: the smallest PM record_id of the group
--   pm_id              PM's record_id
--   erp_id             ERP's record_id
--   method             the first method that hit: crosswalk, explicit, number
--   score              worth of the method: 1.00 stored by somebody, less where concluded

select
    'pm' as side,
    prime_contracts.source,
    coalesce(project_links.erp_source, books_of(prime_contracts.source), '?') as partner_source,
    prime_contracts.record_id,
    prime_contracts.linked_id as stored_id,
    prime_contracts.number,
    project_links.erp_id as parent,
    normalize_number(prime_contracts.number) as number_key,
    prime_contracts.approval_status in ('void', 'rejected') as is_void
from pm.prime_contracts
left join shared.pm_connections as project_links on project_links.pm_id = prime_contracts.project_id

union all

select
    'erp' as side,
    prime_contracts.source,
    jobs.pm_source as partner_source,
    prime_contracts.record_id,
    prime_contracts.linked_id as stored_id,
    prime_contracts.number,
    prime_contracts.project_id as parent,
    normalize_number(prime_contracts.number) as number_key,
    prime_contracts.approval_status in ('void', 'rejected') as is_void
from erp.prime_contracts
left join shared.erp_connections as jobs on jobs.erp_id = prime_contracts.project_id
