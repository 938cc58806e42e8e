-- title: Purchase orders, as exported
-- grain: one purchase order of a job; rows of its cost codes are added up
-- statuses: Draft, Unreleased, Released, Pending, Pending Approval, Approved, Declined, Rejected, Void, Voided, Closed, Completed, Work Verified
-- A purchase order whose work is verified (CoConstruct) was approved before; then it becomes a bill.
-- Subcontracts are purchase orders too, so the kind is not told. The amount is the present one. What is paid is told by bills: the sum
-- over an order has parts of them in it, which no bill tells.

with orders as (

    select
        job, po_number, min(title) as title, min(vendor) as vendor, min(status) as status,
        min(firm_status('purchase_orders', status)) as firm_status,
        sum(amount) as amount, min(created_date) as created_date, max(approved_date) as approved_date,
        min(currency) as currency
    from source.purchase_orders
    group by job, po_number

)

select
    concat(job, '|', po_number) as record_id,
    end_of_day(created_date) as created_at,
    trim(po_number) as number,
    normalize_number(trim(po_number)) as number_key,
    job as project_id,
    nullif(trim(vendor), '') as vendor_id,
    title,
    coalesce(firm_status, case lower(trim(status))
        when 'draft' then 'draft'
        when 'unreleased' then 'draft'
        when 'approved' then 'approved'
        when 'work verified' then 'approved'
        when 'declined' then 'rejected'
        when 'rejected' then 'rejected'
        when 'void' then 'void'
        when 'voided' then 'void'
        when 'closed' then 'closed'
        when 'completed' then 'closed'
        else 'pending'
    end) as approval_status,
    end_of_day(approved_date) as approved_at,
    amount as revised_amount,
    currency
from orders
