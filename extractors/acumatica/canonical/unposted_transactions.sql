-- title: Acumatica journal lines that are not posted
-- grain: one line of a batch that is neither posted nor voided
-- statuses: On Hold, Balanced, Unposted, Released, Partially Released, Pending Approval
-- A scheduled batch is a template: no posting of its own.

select
    concat(trim(lines.module), '|', trim(lines.batch_nbr), '|', cast(coalesce(lines.line_nbr, lines.position) as varchar)) as record_id,
    batches.created_date_time as created_at,
    batches.last_modified_date_time as updated_at,
    batches.transaction_date as date,
    trim(batches.post_period) as period,
    trim(lines.account) as account,
    concat(trim(lines.module), ' ', trim(lines.batch_nbr)) as batch,
    nullif(nullif(trim(lines.project), ''), 'X') as project_id,
    lines.debit_amount as debit,
    lines.credit_amount as credit,
    nullif(trim(batches.currency_id), '') as currency
from source.journal_lines as lines
inner join source.journal_transactions as batches on lines.module = batches.module and lines.batch_nbr = batches.batch_nbr
where lower(trim(batches.status)) in ('on hold', 'balanced', 'unposted', 'released', 'partially released', 'pending approval')
