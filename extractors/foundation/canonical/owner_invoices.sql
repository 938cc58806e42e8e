-- title: FOUNDATION invoices to owners
-- grain: one active invoice; one that was billed again stays in the table and counts no more
-- The amount is gross: what is retained is in it. Received is what receipts that were not reversed paid on the invoice's number.
--   26-101-01 over 1,000.00 and, in its place, 26-101-01R (original 26-101-01) over 900.00, both posted → 26-101-01R alone.

with active as (

    select *, trim(invoice_no) as number, coalesce(lower(trim(posted_flag)), '') in ('y', 'yes', '1', 't', 'true') as is_posted
    from source.ar_invoices
    where coalesce(upper(trim(record_status)), 'A') = 'A'

),

superseded as (

    select distinct trim(original_invoice_no) as number
    from active
    where is_posted and nullif(trim(original_invoice_no), '') is not null and trim(original_invoice_no) <> number

),

received as (

    select trim(lines.invoice_no) as number, sum(lines.cash_amount) as amount
    from source.receipt_invoices as lines
    inner join source.receipts as receipts on trim(receipts.cash_receipt_no) = trim(lines.cash_receipt_no)
    where coalesce(lower(trim(receipts.reversal)), '') not in ('y', 'yes', '1', 't', 'true')
    group by trim(lines.invoice_no)

)

select
    cast(active.invoice_id as varchar) as record_id,
    case when active.invoice_amount < 0 then 'credit' else 'progress' end as kind,
    active.number,
    normalize_number(active.number) as number_key,
    nullif(trim(active.job_no), '') as project_id,
    nullif(trim(active.job_no), '') as contract_id,
    active.invoice_date as billing_date,
    case
        when not active.is_posted then 'pending'
        when coalesce(lower(trim(active.closed_flag)), '') in ('y', 'yes', '1', 't', 'true') then 'closed'
        else 'approved'
    end as approval_status,
    active.invoice_amount as gross_amount,
    coalesce(active.retainage_amount, 0) as retainage_amount,
    active.invoice_amount - coalesce(active.retainage_amount, 0) as net_amount,
    coalesce(received.amount, 0) as paid_amount,
    active.amount_due as open_balance
from active
left anti join superseded on superseded.number = active.number
left join received on received.number = active.number
