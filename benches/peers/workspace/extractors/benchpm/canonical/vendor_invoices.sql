-- title: Invoices of subcontractors
-- grain: one invoice
-- statuses: draft, approved, paid
select
    _key as record_id,
    updated_at,
    'progress' as kind,
    number,
    normalize_number(number) as number_key,
    cast(project_id as varchar) as project_id,
    cast(vendor_id as varchar) as vendor_id,
    cast(commitment_id as varchar) as commitment_id,
    billing_date as invoice_date,
    due_date,
    coalesce(firm_status('pm_sub_invoices', status), case status when 'draft' then 'draft' when 'approved' then 'approved' when 'paid' then 'approved' else 'pending' end) as approval_status,
    gross_amount,
    retainage as retainage_amount,
    net_amount,
    status = 'paid' as is_paid
from source.pm_sub_invoices
