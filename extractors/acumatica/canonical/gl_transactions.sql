-- title: Acumatica journal lines
-- grain: one line of a posted batch
-- Unposted and balanced batches have not reached the balances: left out. The cost type is the account's group.

with accounts as (

    select trim(account_cd) as account, nullif(trim(account_group), '') as account_group from source.accounts

),

-- Cost entered in the project ledger (payroll, equipment) has no document: its journal line names the project transaction.
-- It counts as that transaction's document here as in job_costs.sql, or one cost would look like two.
costs as (

    select
        lines.transaction_id,
        min(coalesce(nullif(trim(headers.original_doc_nbr), ''), trim(lines.reference_nbr))) as document_id
    from source.project_transaction_lines as lines
    inner join source.project_transactions as headers on lines.module = headers.module and lines.reference_nbr = headers.reference_nbr
    where lines.transaction_id is not null
    group by lines.transaction_id

)

select
    concat(trim(lines.module), '|', trim(lines.batch_nbr), '|', cast(coalesce(lines.line_nbr, lines.position) as varchar)) as record_id,
    batches.created_date_time as created_at,
    batches.last_modified_date_time as updated_at,
    batches.transaction_date as date,
    trim(batches.post_period) as period,
    trim(lines.account) as account,
    nullif(nullif(trim(lines.project), ''), 'X') as project_id,
    nullif(trim(lines.cost_code), '') as cost_code,
    accounts.account_group as cost_type,
    lines.debit_amount as debit,
    lines.credit_amount as credit,
    trim(lines.module) as document_type,
    coalesce(nullif(trim(lines.reference_nbr), ''), costs.document_id) as document_id,
    nullif(trim(batches.currency_id), '') as currency
from source.journal_lines as lines
inner join source.journal_transactions as batches on lines.module = batches.module and lines.batch_nbr = batches.batch_nbr
left join accounts on trim(lines.account) = accounts.account
left join costs on lines.project_transaction_id = costs.transaction_id
where lower(trim(batches.status)) in ('posted', 'completed')
