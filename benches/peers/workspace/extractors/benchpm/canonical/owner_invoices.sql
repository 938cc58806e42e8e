-- title: Invoices to owners
-- grain: one invoice
select
    _key as record_id,
    updated_at,
    'progress' as kind,
    number,
    normalize_number(number) as number_key,
    cast(project_id as varchar) as project_id,
    billing_date,
    due_date,
    'approved' as approval_status,
    amount as gross_amount,
    amount as net_amount
from source.pm_owner_invoices
