-- title:    Change orders linked across the two systems
-- question: Which PM change order is which ERP change order, and how do we know?
-- grain:    one row per linked pair; rows that share group_id are compared as one
-- kind:     links
-- entity:   change_orders
-- columns:
--   group_id           what is compared as one: the smallest PM record_id of the group
--   pm_id              PM's record_id
--   erp_id             ERP's record_id
--   method             the first method that hit: crosswalk, explicit, number (also: an amount that is the only such on the contract)
--   score              worth of the method: 1.00 stored by somebody, less where concluded

with contracts as (

    select
        'prime' as kind,
        prime_links.pm_id,
        prime_links.erp_id,
        prime_contracts.project_id
    from link.prime_contracts as prime_links
    inner join erp.prime_contracts on prime_contracts.record_id = prime_links.erp_id

    union all

    select
        'commitment' as kind,
        commitment_links.pm_id,
        commitment_links.erp_id,
        commitments.project_id
    from link.commitments as commitment_links
    inner join erp.commitments on commitments.record_id = commitment_links.erp_id

)

-- An ERP that numbers changes by a sequence of its own, and keeps nothing of PM's, tells no number to compare: there the amount speaks, if
-- it is the only such amount on the contract on both sides.
-- In the linked contract's project, else in the linked project; contracts agree if linked, if a side knows none, or if
-- neither is linked ('?').
select
    'pm' as side,
    change_orders.source,
    coalesce(project_links.erp_source, books_of(change_orders.source), '?') as partner_source,
    change_orders.record_id,
    change_orders.linked_id as stored_id,
    change_orders.number,
    coalesce(contracts.project_id, project_links.erp_id) as parent,
    change_orders.kind,
    coalesce(contracts.erp_id, case when change_orders.contract_id is not null then '?' end) as contract_id,
    change_orders.number_key,
    normalize_number(change_orders.external_reference) as reference_key,
    cast(change_orders.amount as varchar) as second_number,
    change_orders.approval_status in ('void', 'rejected') as is_void
from pm.change_orders
left join shared.pm_connections as project_links on project_links.pm_id = change_orders.project_id
left join contracts on
    contracts.kind = change_orders.kind and
    contracts.pm_id = change_orders.contract_id
-- What the ERP tells no change orders of is none of those that it tells, though a key may stand for both.
where
    not setting_list_contains('not_mapped', 'erp.change_orders.' || coalesce(change_orders.kind, '')) and
    not coalesce(setting_list_contains('not_mapped', project_links.erp_source || '.change_orders.' || change_orders.kind), false)

union all

select
    'erp' as side,
    change_orders.source,
    jobs.pm_source as partner_source,
    change_orders.record_id,
    change_orders.linked_id as stored_id,
    change_orders.number,
    coalesce(contracts.project_id, change_orders.project_id) as parent,
    change_orders.kind,
    coalesce(contracts.erp_id, case when change_orders.contract_id is not null then '?' end) as contract_id,
    change_orders.number_key,
    normalize_number(change_orders.external_reference) as reference_key,
    case when change_orders.number_key is null and change_orders.external_reference is null then cast(change_orders.amount as varchar) end
        as second_number,
    change_orders.approval_status in ('void', 'rejected') as is_void
from erp.change_orders
left join shared.erp_connections as jobs on jobs.erp_id = change_orders.project_id
left join (select distinct kind, erp_id, project_id from contracts) as contracts on
    contracts.kind = change_orders.kind and
    contracts.erp_id = change_orders.contract_id
