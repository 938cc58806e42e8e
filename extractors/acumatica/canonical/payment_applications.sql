-- title: Acumatica applications of payments
-- grain: one released, unvoided payment on one document
-- Only released and unvoided ones, so that a sum is what was paid: a voided check and its void are both left out, and so are
-- applications of adjustments and memos.

with applied as (

    select 'AP' as ledger, trim(type) as type, trim(reference_nbr) as reference_nbr,
        concat(trim(bill_type), '|', trim(bill_nbr)) as invoice_id, sum(amount_paid) as amount, sum(cash_discount_taken) as discount
    from source.check_history
    group by 1, 2, 3, 4

    union all

    select 'AR' as ledger, trim(type) as type, trim(reference_nbr) as reference_nbr,
        concat(trim(invoice_type), '|', trim(invoice_nbr)) as invoice_id, sum(amount_paid) as amount, sum(cash_discount_taken) as discount
    from source.payment_history
    group by 1, 2, 3, 4

),

documents as (

    select 'AP' as ledger, trim(type) as type, trim(reference_nbr) as reference_nbr, lower(trim(status)) as status, currency_id,
        last_modified_date_time
    from source.checks

    union all

    select 'AR' as ledger, trim(type) as type, trim(reference_nbr) as reference_nbr, lower(trim(status)) as status, currency_id,
        last_modified_date_time
    from source.payments

),

voids as (

    select ledger, reference_nbr
    from documents
    where lower(type) like 'void%' or lower(type) in ('vck', 'rpm') or status = 'voided'
    group by 1, 2

)

select
    concat(applied.ledger, '|', applied.type, '|', applied.reference_nbr, '/', applied.invoice_id) as record_id,
    documents.last_modified_date_time as updated_at,
    concat(applied.ledger, '|', applied.type, '|', applied.reference_nbr) as payment_id,
    applied.invoice_id,
    applied.amount,
    applied.discount,
    nullif(trim(documents.currency_id), '') as currency
from applied
inner join documents
    on applied.ledger = documents.ledger and applied.type = documents.type and applied.reference_nbr = documents.reference_nbr
left anti join voids on applied.ledger = voids.ledger and applied.reference_nbr = voids.reference_nbr
where
    documents.status in ('open', 'closed') and
    lower(applied.type) not in ('debit adj.', 'debit adjustment', 'adr', 'credit adj.', 'acr', 'credit memo', 'crm')
