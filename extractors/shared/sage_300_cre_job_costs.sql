-- title: Job cost of Sage 300 CRE
-- grain: one posted cost, current and moved to history
-- The table holds billing, estimates and commitments too: only the six types that end in "cost" cost something. What an invoice cost is
-- known by the invoice's key, all else by its batch.

select
    _key as record_id,
    nullif(upper(trim(job)), '') as project_id,
    nullif(trim(cost_code), '') as cost_code,
    nullif(upper(trim(category)), '') as cost_type,
    coalesce(nullif(accounting_date, date '1900-01-01'), transaction_date) as cost_date,
    round_half_even(amount, 2) as amount,
    nullif(trim(transaction_type), '') as document_type,
    coalesce(upper(nullif(trim(vendor), '') || '|' || nullif(trim(invoice), '')), nullif(trim(batch), '')) as document_id,
    currency
from source.jc_transactions
where lower(trim(transaction_type)) in ('ap cost', 'eq cost', 'jc cost', 'pr cost', 'iv cost', 'sm cost')
