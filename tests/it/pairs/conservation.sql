-- Nothing is lost and nothing counted twice: the differences that a check of money tells, and what lies within its tolerance, are the
-- difference of the sums of the two sides. One row per identity; `found` and `expected` must be equal.

with documents as (

    select 'I4' as check_id, links.group_id, pm_side.net_amount as pm, cast(null as decimal(18,2)) as erp, pm_side.approval_status
    from (select distinct group_id, pm_id from link.vendor_invoices) as links
    inner join pm.vendor_invoices as pm_side on pm_side.record_id = links.pm_id

    union all

    select 'I4' as check_id, links.group_id, cast(null as decimal(18,2)) as pm, erp_side.net_amount as erp, erp_side.approval_status
    from (select distinct group_id, erp_id from link.vendor_invoices) as links
    inner join erp.vendor_invoices as erp_side on erp_side.record_id = links.erp_id

    union all

    select 'I3' as check_id, links.group_id, pm_side.net_amount as pm, cast(null as decimal(18,2)) as erp, pm_side.approval_status
    from (select distinct group_id, pm_id from link.owner_invoices) as links
    inner join pm.owner_invoices as pm_side on pm_side.record_id = links.pm_id

    union all

    select 'I3' as check_id, links.group_id, cast(null as decimal(18,2)) as pm, erp_side.net_amount as erp, erp_side.approval_status
    from (select distinct group_id, erp_id from link.owner_invoices) as links
    inner join erp.owner_invoices as erp_side on erp_side.record_id = links.erp_id

),

-- What both sides have; void and rejected documents apart.
invoice_gaps as (

    select check_id, group_id, sum(pm) - sum(erp) as gap
    from documents
    where coalesce(approval_status, 'pending') not in ('void', 'rejected')
    group by check_id, group_id
    having count(pm) > 0 and count(erp) > 0 and abs(sum(pm) - sum(erp)) > 0.01

),

budgets as (

    select measure, project_id, sum(pm_amount - erp_amount) as gap
    from link.budget_comparisons
    where project_id in (select record_id from pm.projects where coalesce(budget_is_locked, true))
    group by measure, project_id
    having sum(pm_count) > 0 and sum(erp_count) > 0

),

identities as (

    select 'I4 net' as identity,
        (select sum(difference) from recon.vendor_invoice_amount_gap where component = 'net') as found,
        (select sum(gap) from invoice_gaps where check_id = 'I4') as expected

    union all

    select 'I3 net' as identity,
        (select sum(difference) from recon.owner_invoice_amount_gap where component = 'net') as found,
        (select sum(gap) from invoice_gaps where check_id = 'I3') as expected

    union all

    select 'B1 and B2' as identity,
        coalesce((select sum(difference) from recon.budget_mismatch), 0) +
            coalesce((select sum(case side when 'pm' then amount else -amount end) from recon.budget_line_one_sided), 0) as found,
        (select sum(gap) from budgets) - coalesce((
            select sum(comparisons.pm_amount - comparisons.erp_amount)
            from link.budget_comparisons as comparisons
            inner join budgets on budgets.measure = comparisons.measure and budgets.project_id = comparisons.project_id
            where abs(comparisons.pm_amount - comparisons.erp_amount) <= 0.01
        ), 0) as expected

    union all

    -- Every payment that PM shows is paid on an invoice, or on a release that only the ERP bills.
    select 'PM payments' as identity,
        (select sum(paid_amount + allocated_amount + released_amount) from link.vendor_invoice_settlements) +
            coalesce((select sum(amount) from link.release_payments), 0) -
            (select sum(released_amount) from link.vendor_invoice_settlements) as found,
        (select sum(amount) from pm.payments where direction = 'disbursement' and status = 'paid') as expected

    union all

    select 'P1, P2 and P4' as identity,
        coalesce((select sum(difference) from recon.payment_amount_mismatch), 0) +
            coalesce((select sum(pm_paid_amount) from recon.payment_only_in_pm), 0) -
            coalesce((select sum(erp_paid_amount - pm_paid_amount) from recon.payment_not_flowing_back), 0) as found,
        (
            select sum(pm_paid_amount - voided_amount - erp_paid_amount)
            from link.payment_comparisons
            -- What is voided and paid anew is P3's until PM drops the void payment.
            where abs(pm_paid_amount - voided_amount - erp_paid_amount) > 0.01 and (voided_amount = 0 or pm_paid_amount > voided_amount)
        ) as expected

    union all

    -- A cent by which an item may differ stands in its bucket's difference if another item makes one: to the cent an item, then.
    select 'I7' as identity,
        case when abs(gaps.difference - items.difference) <= 0.01 * items.item_count then items.difference else gaps.difference end as found,
        items.difference as expected
    from (select coalesce(sum(difference), 0) as difference from recon.aging_gap where bucket <> 'retainage') as gaps
    cross join (
        select coalesce(sum(pm_open - erp_open), 0) as difference, count(*) as item_count
        from link.open_items
        where not is_in_flight and abs(pm_open - erp_open) > 0
    ) as items

)

select identity, cast(coalesce(found, 0) as varchar) as found, cast(coalesce(expected, 0) as varchar) as expected
from identities
