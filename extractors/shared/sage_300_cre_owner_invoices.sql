-- title: Receivables of Sage 300 CRE
-- grain: one status key (customer, type, date, sequence): invoice numbers may be blank or used again
-- Transaction types come as words or as the codes behind them. Of codes only that of an issued invoice is known: where others come, what
-- was received is not known, and null. Amounts are net of retainage; retainage that is released is billed once.
--   amount 900.00, retainage 100.00 → gross 1,000.00, retainage 100.00, net 900.00.
--   released: amount 100.00, retainage −100.00 → gross 0.00, retainage −100.00, net 100.00.

with transactions as (

    select
        *,
        concat(upper(trim(customer)), '|', trim(status_type), '|', cast(status_date as varchar), '|', trim(status_seq)) as status_key,
        lower(trim(transaction_type)) as type,
        coalesce(lower(trim(amount_type)), '') in ('retainage released', 'at_retr', 'tax retainage relsed') as is_release
    from source.ar_transactions

),

issued as (

    select
        status_key, min(upper(trim(customer))) as customer, min(nullif(trim(invoice), '')) as invoice, min(nullif(trim(draw), '')) as draw,
        case when min(nullif(trim(job), '')) = max(nullif(trim(job), '')) then min(nullif(upper(trim(job)), '')) end as job,
        min(coalesce(reference_date, status_date)) as billing_date, min(due_date) as due_date,
        sum(case when is_release then 0 else round_half_even(amount, 2) + coalesce(round_half_even(retainage, 2), 0) end) as gross,
        sum(coalesce(round_half_even(retainage, 2), 0)) as retainage,
        bool_and(is_release) as is_release,
        min(currency) as currency
    from transactions
    where
        type in ('issued invoice', 'invoice adjustment', 'tt_iinv') and
        coalesce(lower(trim(amount_type)), '') not in ('stored materials', 'nsf bank charge')
    group by status_key

),

received as (

    select status_key, abs(sum(round_half_even(amount, 2))) as amount
    from transactions
    where type in ('cash receipt', 'cash recpt adjustmnt')
    group by status_key

),

words as (

    select coalesce(bool_and(type not like 'tt\_%' or type = 'tt_iinv'), true) as are_known from transactions

)

select
    issued.status_key as record_id,
    case when issued.is_release then 'retainage_release' when issued.gross < 0 then 'credit' else 'progress' end as kind,
    coalesce(issued.invoice, issued.draw) as number,
    normalize_number(coalesce(issued.invoice, issued.draw)) as number_key,
    issued.job as project_id,
    issued.job as contract_id,
    try_cast(issued.draw as bigint) as application_number,
    issued.billing_date,
    nullif(issued.due_date, date '1900-01-01') as due_date,
    'approved' as approval_status,
    issued.gross as gross_amount,
    issued.retainage as retainage_amount,
    issued.gross - issued.retainage as net_amount,
    case when words.are_known then coalesce(received.amount, 0) end as paid_amount,
    issued.currency
from issued
cross join words
left join received on issued.status_key = received.status_key
