-- title: ProjectSight days of payment, each on its invoice
-- grain: one invoice or application that has a day of payment
-- As in payments: no field tells an amount, so the invoice is taken as paid in full.

with invoices as (

    select portfolio_id, project_id, 'I' || contract_invoice_id as id, 'C' || contract_id as contract, paid_date,
        coalesce(total_less_retainage - previous_total_less_retainage, current_due) as amount, when_created, last_modified
    from source.contract_invoices
    where not coalesce(deleted, false)

    union all

    select portfolio_id, project_id, 'G' || gen_inv_id as id, 'O' || po_id as contract, date_paid as paid_date,
        invoice_total as amount, when_created, last_modified
    from source.general_invoices
    where not coalesce(deleted, false)

    union all

    select portfolio_id, project_id, 'A' || application_for_pay_id as id, 'C' || contract_id as contract, paid_date,
        current_due as amount, when_created, last_modified
    from source.applications_for_payment
    where not coalesce(deleted, false)

)

select
    portfolio_id || '|' || project_id || '|' || id || '|paid' as record_id,
    when_created as created_at,
    last_modified as updated_at,
    portfolio_id || '|' || project_id || '|' || id || '|paid' as payment_id,
    portfolio_id || '|' || project_id || '|' || id as invoice_id,
    amount
from invoices
where paid_date is not null
