-- title: Procore contract payments
-- grain: one payment issued on a commitment or received on a prime contract
-- statuses: unpaid, in_review, approved, processing, paid, rejected, failed
-- The status is free text. A payment without one was typed in by hand, after the fact: paid. An unknown word is not a payment yet.

with demo_projects as (

    select id from source.projects where is_demo

),

contracts as (

    select id, project_id, vendor_id, 'disbursement' as direction, currency_iso_code
    from source.work_order_contracts
    where deleted_at is null

    union all

    select id, project_id, vendor_id, 'disbursement' as direction, currency_iso_code
    from source.purchase_order_contracts
    where deleted_at is null

    union all

    select id, project_id, vendor_id, 'receipt' as direction, currency_iso_code
    from source.prime_contracts
    where deleted_at is null

)

select
    payments._key as record_id,
    coalesce(nullif(trim(payments.origin_id), ''), nullif(trim(payments.origin_code), '')) as linked_id,
    payments.created_at,
    payments.updated_at,
    contracts.direction,
    coalesce(nullif(trim(payments.check_number), ''), cast(payments.payment_number as varchar)) as number,
    payments.date as payment_date,
    payments.amount,
    case when contracts.direction = 'disbursement' then cast(contracts.vendor_id as varchar) end as vendor_id,
    case when contracts.direction = 'receipt' then cast(contracts.vendor_id as varchar) end as customer_id,
    cast(payments.contract_id as varchar) as contract_id,
    case
        when coalesce(lower(trim(payments.status)), 'paid') in ('paid', 'settled', 'completed', 'cleared') then 'paid'
        when lower(trim(payments.status)) in ('rejected', 'failed', 'void', 'voided', 'canceled', 'cancelled') then 'void'
        else 'pending'
    end as status,
    contracts.currency_iso_code as currency
from source.contract_payments as payments
inner join contracts on payments.contract_id = contracts.id
left anti join demo_projects on contracts.project_id = demo_projects.id
