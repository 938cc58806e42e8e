-- title: FOUNDATION purchase orders and subcontracts
-- grain: one document; both are one family
-- statuses: A, O, C
-- Status letters are the installation's own ([status.<source>.purchase_orders]): what it does not say is pending. Lines are what was
-- agreed first; changes count once they are approved. Which order a voucher bills is not told, so neither is what is billed of it.

with lines as (

    select trim(order_no) as order_no, sum(amount) as amount from source.purchase_order_lines group by trim(order_no)

),

changes as (

    select trim(order_no) as order_no, sum(amount) as amount
    from source.purchase_order_changes
    where
        coalesce(firm_status('purchase_order_changes', status), case upper(trim(status)) when 'A' then 'approved' end)
            in ('approved', 'closed')
    group by trim(order_no)

)

select
    trim(orders.order_no) as record_id,
    case when upper(trim(orders.order_type)) like 'S%' then 'subcontract' when upper(trim(orders.order_type)) like 'P%' then 'purchase_order' end
        as kind,
    trim(orders.order_no) as number,
    normalize_number(trim(orders.order_no)) as number_key,
    nullif(trim(orders.job_no), '') as project_id,
    nullif(trim(orders.vendor_no), '') as vendor_id,
    nullif(trim(orders.description), '') as title,
    coalesce(firm_status('purchase_orders', orders.status), case upper(trim(orders.status))
        when 'A' then 'approved'
        when 'O' then 'approved'
        when 'C' then 'closed'
        else 'pending'
    end) as approval_status,
    coalesce(lines.amount, 0) as original_amount,
    coalesce(changes.amount, 0) as approved_change_amount,
    coalesce(lines.amount, 0) + coalesce(changes.amount, 0) as revised_amount
from source.purchase_orders as orders
left join lines on lines.order_no = trim(orders.order_no)
left join changes on changes.order_no = trim(orders.order_no)
