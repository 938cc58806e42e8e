-- title: Acumatica subcontracts and purchase orders
-- grain: one subcontract (key: its number) or purchase order (key: type and number)
-- statuses: On Hold, Pending Approval, Rejected, Open, Pending Printing, Pending Email, Completed, Closed, Canceled, Awaiting Link
-- The project stands on the lines; a commitment whose lines name several has none, rather than the first one's.
--   lines on P1 and P1 → P1; lines on P1 and P2 → null.
-- The order holds its revised amount: released (Closed) change orders have already moved its lines. The original amount is that less
-- theirs.

with lines as (

    select 'subcontract' as kind, trim(subcontract_nbr) as record_id, nullif(trim(project), '') as project
    from source.subcontract_lines
    where not coalesce(canceled, false)

    union all

    select 'purchase_order' as kind, concat(trim(type), '|', trim(order_nbr)) as record_id, nullif(trim(project), '') as project
    from source.purchase_order_lines
    where not coalesce(cancelled, false)

),

line_projects as (

    select kind, record_id, case when min(project) = max(project) then min(project) end as project
    from lines
    where project <> 'X'
    group by kind, record_id

),

released_changes as (

    select
        case
            when lower(trim(changes.po_type)) in ('subcontract', 'rs') then trim(changes.po_nbr)
            else concat(trim(changes.po_type), '|', trim(changes.po_nbr))
        end as record_id,
        sum(changes.amount) as amount
    from source.change_order_commitments as changes
    inner join source.change_orders as orders on trim(changes.ref_nbr) = trim(orders.ref_nbr)
    where lower(trim(orders.status)) = 'closed' and nullif(trim(changes.po_nbr), '') is not null
    group by 1

),

orders as (

    select 'subcontract' as kind, trim(subcontract_nbr) as record_id, trim(subcontract_nbr) as number, arrow_cast(null, 'Utf8') as project,
        vendor_id, vendor_ref, description, status, firm_status('subcontracts', status) as firm_status, date,
        line_total - coalesce(discount_total, 0) as revised_amount, retainage_pct, currency_id, last_modified_date_time
    from source.subcontracts

    union all

    select 'purchase_order' as kind, concat(trim(type), '|', trim(order_nbr)) as record_id, trim(order_nbr) as number,
        nullif(trim(project), '') as project, vendor_id, vendor_ref, description, status,
        firm_status('purchase_orders', status) as firm_status, date,
        order_total - coalesce(tax_total, 0) as revised_amount, cast(null as decimal(24, 6)) as retainage_pct, currency_id,
        last_modified_date_time
    from source.purchase_orders

)

select
    orders.record_id,
    orders.last_modified_date_time as updated_at,
    orders.kind,
    orders.number,
    normalize_number(orders.number) as number_key,
    nullif(trim(orders.vendor_ref), '') as external_reference,
    coalesce(nullif(orders.project, 'X'), line_projects.project) as project_id,
    nullif(trim(orders.vendor_id), '') as vendor_id,
    orders.description as title,
    coalesce(orders.firm_status, case lower(trim(orders.status))
        when 'on hold' then 'draft'
        when 'rejected' then 'rejected'
        when 'open' then 'approved'
        when 'pending printing' then 'approved'
        when 'pending email' then 'approved'
        when 'awaiting link' then 'approved'
        when 'completed' then 'closed'
        when 'closed' then 'closed'
        when 'canceled' then 'void'
        when 'cancelled' then 'void'
        else 'pending'
    end) as approval_status,
    orders.date as executed_on,
    orders.revised_amount - coalesce(released_changes.amount, 0) as original_amount,
    coalesce(released_changes.amount, cast(0 as decimal(24, 6))) as approved_change_amount,
    orders.revised_amount,
    orders.retainage_pct as retainage_percent,
    nullif(trim(orders.currency_id), '') as currency
from orders
left join line_projects on orders.kind = line_projects.kind and orders.record_id = line_projects.record_id
left join released_changes on orders.record_id = released_changes.record_id
