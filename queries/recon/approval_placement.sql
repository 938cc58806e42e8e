-- title:    Where approvals are given
-- check:    D3
-- kind:     summary
-- entity:   change_orders
-- scope:    firm
-- record_owner: pm
-- fix_side: erp
-- version:  1
-- risk:     none: a score
-- question: How many records were approved on both sides, or on the side that does not own the approval?
-- grain:    one row per entity
-- requires: pm.change_orders.approved_by, erp.change_orders.approved_by
-- fix:      Decide where each approval belongs (recon.ownership), and turn the other one off.
-- columns:
--   entity             entity of the canonical model
--   linked_count       linked records that either side has approved
--   pm_only_count      approved by somebody in PM alone
--   erp_only_count     approved by somebody in the ERP alone: the side that does not own it
--   both_count         approved by somebody on both sides

with pairs as (

    select 'change_orders' as entity, links.pm_id, pm_side.approved_by as pm_approver, erp_side.approved_by as erp_approver
    from link.change_orders as links
    inner join pm.change_orders as pm_side on pm_side.record_id = links.pm_id
    inner join erp.change_orders as erp_side on erp_side.record_id = links.erp_id

    union all

    select 'commitments' as entity, links.pm_id, pm_side.approved_by as pm_approver, erp_side.approved_by as erp_approver
    from link.commitments as links
    inner join pm.commitments as pm_side on pm_side.record_id = links.pm_id
    inner join erp.commitments as erp_side on erp_side.record_id = links.erp_id

    union all

    select 'vendor_invoices' as entity, links.pm_id, pm_side.approved_by as pm_approver, erp_side.approved_by as erp_approver
    from link.vendor_invoices as links
    inner join pm.vendor_invoices as pm_side on pm_side.record_id = links.pm_id
    inner join erp.vendor_invoices as erp_side on erp_side.record_id = links.erp_id

)

select
    entity,
    count(distinct pm_id) as linked_count,
    count(distinct case when erp_approver is null then pm_id end) as pm_only_count,
    count(distinct case when pm_approver is null then pm_id end) as erp_only_count,
    count(distinct case when pm_approver is not null and erp_approver is not null then pm_id end) as both_count
from pairs
where pm_approver is not null or erp_approver is not null
group by entity
order by entity
