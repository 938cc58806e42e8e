-- title: Client invoices, as exported
-- grain: one invoice or draw of a job
-- statuses: Draft, Unreleased, Released, Sent, Open, Unpaid, Overdue, Paid, Partially Paid, Void, Voided
-- What the client was sent is approved. Without retainage gross and net are the same.

select
    _key as record_id,
    case when amount < 0 then 'credit' else 'progress' end as kind,
    trim(invoice_number) as number,
    normalize_number(trim(invoice_number)) as number_key,
    job as project_id,
    due_date,
    coalesce(firm_status('owner_invoices', status), case lower(trim(status))
        when 'draft' then 'draft'
        when 'unreleased' then 'draft'
        when 'released' then 'approved'
        when 'sent' then 'approved'
        when 'open' then 'approved'
        when 'unpaid' then 'approved'
        when 'overdue' then 'approved'
        when 'paid' then 'approved'
        when 'partially paid' then 'approved'
        when 'void' then 'void'
        when 'voided' then 'void'
        else 'pending'
    end) as approval_status,
    amount as gross_amount,
    amount as net_amount,
    paid_amount,
    currency
from source.owner_invoices
