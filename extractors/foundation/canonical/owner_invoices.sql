-- title: FOUNDATION invoices to owners
-- grain: one active invoice, and one more for what was received on it of its retainage; one that was billed again counts no more
-- The amount is gross: what is retained is in it. Received is what receipts that were not reversed paid on the invoice's number; beyond the
-- net it is retainage given back.
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

),

invoices as (

    select
        cast(active.invoice_id as varchar) as record_id, active.number, nullif(trim(active.job_no), '') as job_no, active.invoice_date,
        active.is_posted, coalesce(lower(trim(active.closed_flag)), '') in ('y', 'yes', '1', 't', 'true') as is_closed,
        cast(active.invoice_amount as decimal(18, 2)) as gross,
        cast(coalesce(active.retainage_amount, 0) as decimal(18, 2)) as retained,
        cast(active.invoice_amount - coalesce(active.retainage_amount, 0) as decimal(18, 2)) as net,
        cast(coalesce(received.amount, 0) as decimal(18, 2)) as received
    from active
    left anti join superseded on superseded.number = active.number
    left join received on received.number = active.number

),

settled as (

    select
        *,
        cast(case when net >= 0 then greatest(received - net, 0) else least(received - net, 0) end as decimal(18, 2)) as released
    from invoices

)

select
    record_id,
    case when gross < 0 then 'credit' else 'progress' end as kind,
    number,
    normalize_number(number) as number_key,
    job_no as project_id,
    job_no as contract_id,
    invoice_date as billing_date,
    case when not is_posted then 'pending' when is_closed then 'closed' else 'approved' end as approval_status,
    gross as gross_amount,
    retained as retainage_amount,
    net as net_amount,
    cast(received - released as decimal(18, 2)) as paid_amount,
    cast(case when is_posted then net - (received - released) else 0 end as decimal(18, 2)) as open_balance
from settled

union all

select
    record_id || '|retainage' as record_id,
    'retainage_release' as kind,
    number,
    cast(null as varchar) as number_key,
    job_no as project_id,
    job_no as contract_id,
    invoice_date as billing_date,
    'closed' as approval_status,
    cast(0 as decimal(18, 2)) as gross_amount,
    cast(-released as decimal(18, 2)) as retainage_amount,
    released as net_amount,
    released as paid_amount,
    cast(0 as decimal(18, 2)) as open_balance
from settled
where is_posted and released <> 0
