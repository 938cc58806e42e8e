-- title: Sage Intacct payments of payables and receivables
-- grain: one payment
-- statuses: draft, submitted, approved, posted, voided, reversal
-- Keys carry the ledger: both may have a payment 123. A voided payment keeps its amount and is void since it last changed; the reversal
-- that voids it is not a payment. An approved one waits to be printed or confirmed: pending.

with documents as (

    select 'AP' as ledger, 'disbursement' as direction, key, document_number, payment_method, coalesce(txn_paid_date, txn_date) as paid_on,
        total_amount, vendor, null as customer, lower(trim(status)) as state, currency, created_date_time, modified_date_time
    from source.ap_payments

    union all

    select 'AR' as ledger, 'receipt' as direction, key, document_number, payment_method, coalesce(receipt_date, paid_date) as paid_on,
        total_amount, null as vendor, customer, lower(trim(status)) as state, currency, created_date_time, modified_date_time
    from source.ar_payments

)

select
    concat(ledger, '|', key) as record_id,
    created_date_time as created_at,
    modified_date_time as updated_at,
    direction,
    coalesce(nullif(trim(document_number), ''), key) as number,
    nullif(trim(payment_method), '') as method,
    paid_on as payment_date,
    total_amount as amount,
    nullif(trim(vendor), '') as vendor_id,
    nullif(trim(customer), '') as customer_id,
    case
        when state in ('voided', 'void', 'reversed', 'v') then 'void'
        when state in ('posted', 'paid', 'complete', 'completed', 'confirmed', 'cleared', 'c') then 'paid'
        else 'pending'
    end as status,
    case when state in ('voided', 'void', 'reversed', 'v') then modified_date_time end as voided_at,
    nullif(trim(currency), '') as currency
from documents
where coalesce(state, '') <> 'reversal'
