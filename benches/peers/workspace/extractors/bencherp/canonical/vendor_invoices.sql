-- title: Bills
-- grain: one bill
select
    _key as record_id,
    updated_at,
    'progress' as kind,
    invoice_number as number,
    normalize_number(invoice_number) as number_key,
    job_number as project_id,
    vendor_code as vendor_id,
    invoice_date,
    due_date,
    'approved' as approval_status,
    amount + retainage as gross_amount,
    retainage as retainage_amount,
    amount as net_amount,
    paid_amount,
    amount - paid_amount as open_balance,
    end_of_day(paid_date) as paid_at
from source.erp_ap_invoices
