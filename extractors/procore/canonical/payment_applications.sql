-- title: Procore payments applied to invoices
-- grain: one paid contract payment on the invoice it settles
-- Only paid ones, so that a sum is what was paid. A payment that names no invoice is not here; compare those by commitment.
-- Payments received carry no requisition but the application's number: draw 3 on contract 8 is application 3 of contract 8.

with demo_projects as (

    select id from source.projects where is_demo

),

-- The same words for "paid" as in payments.sql.
paid as (

    select *
    from source.contract_payments
    where coalesce(lower(trim(status)), 'paid') in ('paid', 'settled', 'completed', 'cleared')

),

applications as (

    select contract_id, number, min(_key) as invoice_id, min(project_id) as project_id, min(currency_iso_code) as currency_iso_code
    from source.payment_applications
    group by contract_id, number
    having count(*) = 1

),

applied as (

    select paid._key, paid.created_at, paid.updated_at, paid.amount, requisitions._key as invoice_id, requisitions.project_id,
        requisitions.currency_iso_code
    from paid
    inner join source.requisitions as requisitions on paid.requisition_id = requisitions.id

    union all

    select paid._key, paid.created_at, paid.updated_at, paid.amount, applications.invoice_id, applications.project_id,
        applications.currency_iso_code
    from paid
    inner join applications on paid.contract_id = applications.contract_id and paid.draw_request_number = applications.number
    where paid.requisition_id is null

)

select
    concat(applied._key, '/', applied.invoice_id) as record_id,
    applied.created_at,
    applied.updated_at,
    applied._key as payment_id,
    applied.invoice_id,
    applied.amount,
    applied.currency_iso_code as currency
from applied
left anti join demo_projects on applied.project_id = demo_projects.id
