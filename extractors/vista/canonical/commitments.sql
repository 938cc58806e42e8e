-- title: Vista subcontracts and purchase orders
-- grain: one subcontract, or one purchase order, of a company
-- statuses: 0, 1, 2, 3
-- Open, completed, closed, pending. A pending one is project management's: its items are there, and not in accounting until they are
-- interfaced. An approved pending one is agreed and waits for that. Items that are in accounting count by what they cost now.
--   items 1,000.00 (original) and 50.00 (change order) → original 1,000.00, changes 50.00, revised 1,050.00.
--   pending, planned items 700.00 → original 700.00, changes 0.00, revised 700.00.
-- Backcharges (item type 3) are no part of what was agreed first. Amounts are without tax, invoiced is gross of retainage.
-- Paid is what payments of posted invoices paid, retainage too.

with items as (

    select 'SL' as module, sl_co as co, sl as number, job,
        sum(case when item_type in (2, 3) then 0.00 else orig_cost end) as original_amount, sum(cur_cost) as revised_amount,
        sum(inv_cost) as invoiced_amount, max(wc_ret_pct) as retainage
    from source.subcontract_items
    group by sl_co, sl, job

    union all

    select 'PO', po_co, po, job, sum(orig_cost), sum(cur_cost), sum(inv_cost), null
    from source.purchase_order_items
    group by po_co, po, job

),

posted as (

    select module, co, number, sum(original_amount) as original_amount, sum(revised_amount) as revised_amount,
        sum(invoiced_amount) as invoiced_amount, max(retainage) as retainage, case when min(job) = max(job) then min(job) end as job
    from items
    group by module, co, number

),

planned as (

    select 'SL' as module, sl_co as co, sl as number, sum(amount) as amount, max(wc_retg_pct) as retainage,
        case when min(project) = max(project) then min(project) end as job
    from source.planned_subcontract_items
    where upper(trim(record_type)) = 'O' and nullif(trim(sl), '') is not null
    group by sl_co, sl

    union all

    select 'PO', po_co, po, sum(amount), null, case when min(project) = max(project) then min(project) end
    from source.planned_purchase_items
    where upper(trim(record_type)) = 'O' and nullif(trim(po), '') is not null
    group by po_co, po

),

settled as (

    select lines.ap_co, coalesce(nullif(trim(lines.sl), ''), nullif(trim(lines.po), '')) as number,
        case when nullif(trim(lines.sl), '') is not null then 'SL' else 'PO' end as module, sum(details.amount - details.disc_taken) as amount
    from source.ap_lines as lines
    inner join source.ap_details as details on
        details.ap_co = lines.ap_co and details.mth = lines.mth and details.ap_trans = lines.ap_trans and details.ap_line = lines.ap_line
    where details.status in (3, 4)
    group by 1, 2, 3

),

orders as (

    select 'SL' as module, sl_co as co, sl as number, jc_co, job, description, vendor_group, vendor, status, approved, orig_date as dated,
        firm_status('subcontracts', cast(status as varchar)) as firm_status
    from source.subcontracts

    union all

    select 'PO', po_co, po, jc_co, job, description, vendor_group, vendor, status, approved, order_date,
        firm_status('purchase_orders', cast(status as varchar))
    from source.purchase_orders

)

select
    concat(orders.module, '|', orders.co, '|', trim(orders.number)) as record_id,
    case orders.module when 'SL' then 'subcontract' else 'purchase_order' end as kind,
    trim(orders.number) as number,
    normalize_number(trim(orders.number)) as number_key,
    cast(orders.jc_co as varchar) || '|' || trim(coalesce(nullif(trim(orders.job), ''), posted.job, planned.job)) as project_id,
    concat(orders.vendor_group, '|', orders.vendor) as vendor_id,
    nullif(trim(orders.description), '') as title,
    coalesce(orders.firm_status, case
        when orders.status = 0 then 'approved'
        when orders.status in (1, 2) then 'closed'
        when orders.status = 3 and upper(trim(orders.approved)) = 'Y' then 'approved'
        else 'pending'
    end) as approval_status,
    orders.dated as executed_on,
    coalesce(posted.original_amount, planned.amount, 0.00) as original_amount,
    coalesce(posted.revised_amount - posted.original_amount, 0.00) as approved_change_amount,
    coalesce(posted.revised_amount, planned.amount, 0.00) as revised_amount,
    coalesce(posted.invoiced_amount, 0.00) as invoiced_amount,
    coalesce(settled.amount, 0.00) as paid_amount,
    coalesce(posted.retainage, planned.retainage) * 100 as retainage_percent
from orders
left join posted on posted.module = orders.module and posted.co = orders.co and posted.number = orders.number
left join planned on planned.module = orders.module and planned.co = orders.co and planned.number = orders.number
left join settled on settled.module = orders.module and settled.ap_co = orders.co and settled.number = trim(orders.number)
