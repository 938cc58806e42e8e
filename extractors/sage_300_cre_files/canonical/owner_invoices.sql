-- title: Receivables of Sage 300 CRE
-- grain: one status key (customer, type, date, sequence): invoice numbers may be blank or used again
-- Transaction types come as words or as the codes behind them. Amounts are net of retainage; retainage that is released is billed once.

with transactions as (

    select *,
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
        sum(case when is_release then 0 else amount + coalesce(retainage, 0) end) as gross,
        sum(coalesce(retainage, 0)) as retainage,
        min(currency) as currency
    from transactions
    where type in ('issued invoice', 'invoice adjustment', 'tt_iinv') and coalesce(lower(trim(amount_type)), '') <> 'stored materials'
    group by status_key

),

received as (

    select status_key, abs(sum(amount)) as amount
    from transactions
    where type in ('cash receipt', 'cash recpt adjustmnt')
    group by status_key

)

select
    issued.status_key as record_id,
    case when issued.gross < 0 then 'credit' else 'progress' end as kind,
    coalesce(issued.invoice, issued.draw) as number,
    normalize_number(coalesce(issued.invoice, issued.draw)) as number_key,
    issued.job as project_id,
    issued.job as contract_id,
    try_cast(issued.draw as bigint) as application_number,
    issued.billing_date,
    issued.due_date,
    'approved' as approval_status,
    issued.gross as gross_amount,
    issued.retainage as retainage_amount,
    issued.gross - issued.retainage as net_amount,
    coalesce(received.amount, 0) as paid_amount,
    issued.currency
from issued
left join received on issued.status_key = received.status_key
