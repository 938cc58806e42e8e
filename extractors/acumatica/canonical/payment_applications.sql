-- title: Acumatica applications of payments
-- grain: one released, unvoided payment on one document
-- Only released and unvoided ones, so that a sum is what was paid: a voided check and its void are both left out (see payments.sql),
-- and so are applications of adjustments, memos and write-offs.

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

    select 'AP' as ledger, trim(type) as type, lower(trim(type)) as kind, trim(reference_nbr) as reference_nbr,
        lower(trim(status)) as status, payment_amount, currency_id, last_modified_date_time
    from source.checks

    union all

    select 'AR' as ledger, trim(type) as type, lower(trim(type)) as kind, trim(reference_nbr) as reference_nbr,
        lower(trim(status)) as status, payment_amount, currency_id, last_modified_date_time
    from source.payments

),

voids as (

    select ledger, reference_nbr, abs(payment_amount) as amount
    from documents
    where
        (kind like 'void%' or kind in ('vck', 'rpm', 'vrf')) and
        coalesce(status, '') not in (
            'on hold', 'pending approval', 'rejected', 'pending print', 'printed', 'balanced', 'reserved', 'pending processing'
        )
    group by 1, 2, 3

),

payments as (

    select documents.*
    from documents
    left anti join voids
        on documents.ledger = voids.ledger and documents.reference_nbr = voids.reference_nbr and
        abs(documents.payment_amount) = voids.amount
    where
        status in ('open', 'closed') and
        not (kind like 'void%' or kind in ('vck', 'rpm', 'vrf')) and
        not (
            kind like '%adj%' or kind like '%memo%' or kind like '%write%off%' or kind like '% wo' or
            kind in ('adr', 'acr', 'crm', 'smb', 'smc')
        )

)

select
    concat(applied.ledger, '|', applied.type, '|', applied.reference_nbr, '/', applied.invoice_id) as record_id,
    payments.last_modified_date_time as updated_at,
    concat(applied.ledger, '|', applied.type, '|', applied.reference_nbr) as payment_id,
    applied.invoice_id,
    applied.amount,
    applied.discount,
    nullif(trim(payments.currency_id), '') as currency
from applied
inner join payments
    on applied.ledger = payments.ledger and applied.type = payments.type and applied.reference_nbr = payments.reference_nbr
