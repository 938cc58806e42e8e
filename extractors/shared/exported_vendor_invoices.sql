-- title: Bills, as exported
-- grain: one bill of a vendor on a job; rows of its cost codes are added up
-- statuses: Draft, Open, Ready for Payment, Approved, Paid, Partially Paid, Void, Voided
-- A bill is approved when it is ready to be paid; `Open` is not yet. Without retainage gross and net are the same.
-- Paid in full or not at all: of a bill that is paid in part nobody tells how much, so that a part is nothing.

with bills as (

    select
        job, vendor, bill_number, min(nullif(trim(po_number), '')) as po_number, lower(trim(min(status))) as status,
        min(firm_status('bills', status)) as firm_status, sum(amount) as amount, min(invoice_date) as invoice_date,
        min(due_date) as due_date, max(paid_date) as paid_date, min(nullif(trim(sync_status), '')) as sync_status,
        min(currency) as currency
    from source.bills
    group by job, vendor, bill_number

)

select
    concat(job, '|', vendor, '|', bill_number) as record_id,
    sync_status,
    case when amount < 0 then 'credit' else 'progress' end as kind,
    trim(bill_number) as number,
    normalize_number(trim(bill_number)) as number_key,
    job as project_id,
    nullif(trim(vendor), '') as vendor_id,
    case when po_number is not null then concat(job, '|', po_number) end as commitment_id,
    invoice_date,
    due_date,
    coalesce(firm_status, case status
        when 'draft' then 'draft'
        when 'ready for payment' then 'approved'
        when 'approved' then 'approved'
        when 'paid' then 'approved'
        when 'partially paid' then 'approved'
        when 'void' then 'void'
        when 'voided' then 'void'
        else 'pending'
    end) as approval_status,
    amount as gross_amount,
    amount as net_amount,
    status = 'paid' as is_paid,
    case when status = 'paid' then end_of_day(paid_date) end as paid_at,
    currency
from bills
