-- title: Acumatica journal lines
-- grain: one line of a posted batch
-- Unposted and balanced batches have not reached the balances: left out. The cost type is the account's group.

with accounts as (

    select trim(account_cd) as account, nullif(trim(account_group), '') as account_group from source.accounts

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
    nullif(trim(lines.reference_nbr), '') as document_id,
    nullif(trim(batches.currency_id), '') as currency
from source.journal_lines as lines
inner join source.journal_transactions as batches on lines.module = batches.module and lines.batch_nbr = batches.batch_nbr
left join accounts on trim(lines.account) = accounts.account
where lower(trim(batches.status)) in ('posted', 'completed')
