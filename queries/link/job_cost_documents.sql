-- title:    Job cost and its postings, document by document
-- question: What did each document cost a job by the accounting date, in the project ledger and in the general ledger?
-- grain:    one row per connection, ERP project, cost type, document and currency
-- columns:
--   source             the connection
--   project_id         the ERP's record id of the project
--   cost_type          account group or cost type; null = none
--   document_id        number of the document; null = entered without one
--   currency           of the amounts
--   job_cost           project transactions dated by the date
--   ledger_cost        postings on expense and cost accounts with the project, by the date
--   last_dated         the newest of them

with both_ledgers as (

    select costs.source, costs.project_id, costs.cost_type, costs.document_id, costs.currency, coalesce(costs.amount, 0) as job_cost,
        cast(0 as decimal(18,2)) as ledger_cost, costs.cost_date as dated
    from erp.job_costs as costs
    cross join meta.clock
    where coalesce(costs.cost_date <= clock.accounting_date, true)

    union all

    select lines.source, lines.project_id, lines.cost_type, lines.document_id, lines.currency, cast(0 as decimal(18,2)) as job_cost,
        coalesce(lines.debit, 0) - coalesce(lines.credit, 0) as ledger_cost, lines.date as dated
    from erp.gl_transactions as lines
    inner join erp.gl_accounts as accounts on accounts.account = lines.account and accounts.source = lines.source
    cross join meta.clock
    where
        coalesce(lines.date <= clock.accounting_date, true) and
        (lower(accounts.type) like '%expense%' or lower(accounts.type) like '%cost%')

)

select
    source,
    project_id,
    cost_type,
    document_id,
    coalesce(currency, setting_text('currency')) as currency,
    cast(sum(job_cost) as decimal(18,2)) as job_cost,
    cast(sum(ledger_cost) as decimal(18,2)) as ledger_cost,
    max(dated) as last_dated
from both_ledgers
where upper(coalesce(trim(own_key(source, project_id)), '')) not in ('', 'X')
group by source, project_id, cost_type, document_id, coalesce(currency, setting_text('currency'))
