-- title: Receivables
-- grain: one invoice
select
    _key as record_id,
    updated_at,
    'progress' as kind,
    invoice_number as number,
    normalize_number(invoice_number) as number_key,
    job_number as project_id,
    invoice_date as billing_date,
    due_date,
    'approved' as approval_status,
    amount as gross_amount,
    amount as net_amount
from source.erp_ar_invoices
