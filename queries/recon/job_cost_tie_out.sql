-- title:    Job cost that does not tie to the ledger
-- check:    T4
-- entity:   job_costs
-- scope:    project
-- record_owner: erp
-- fix_side: erp
-- version:  1
-- risk:     the difference without its sign
-- question: On which projects do the project ledger and the general ledger disagree?
-- grain:    one row per ERP project
-- parameters: amount_tolerance = 0.01
-- requires: erp.job_costs, erp.gl_transactions.project_id, erp.gl_accounts
-- fix:      Compare by document: release what was not released to the other ledger.
-- columns:
--   erp_project_id     the ERP's record id of the project
--   job_cost           project transactions up to the accounting date
--   ledger_cost        expense postings on the project up to the accounting date
--   difference         job cost less ledger

with both_ledgers as (

    select costs.source, costs.project_id, costs.amount as job_cost, cast(0 as decimal(18,2)) as ledger_cost, costs.currency
    from erp.job_costs as costs
    cross join meta.clock
    where costs.cost_date is null or costs.cost_date <= clock.accounting_date

    union all

    select lines.source, lines.project_id, cast(0 as decimal(18,2)) as job_cost, coalesce(lines.debit, 0) - coalesce(lines.credit, 0) as ledger_cost,
        lines.currency
    from erp.gl_transactions as lines
    inner join erp.gl_accounts as accounts on accounts.account = lines.account and (accounts.source is not distinct from lines.source)
    cross join meta.clock
    where
        (lines.date is null or lines.date <= clock.accounting_date) and
        (lower(accounts.type) like '%expense%' or lower(accounts.type) like '%cost%')

),

totals as (

    select
        project_id,
        sum(coalesce(job_cost, 0)) as job_cost,
        sum(ledger_cost) as ledger_cost,
        min(currency) as currency
    from both_ledgers
    where upper(coalesce(trim(own_key(source, project_id)), '')) not in ('', 'X')
    group by project_id

)

select
    'T4:' || totals.project_id as exception_key,
    coalesce(projects.project_id, totals.project_id) as project_id,
    projects.project_number,
    cast(null as varchar) as pm_id,
    totals.project_id as erp_id,
    coalesce(projects.project_number, totals.project_id) as label,
    'job cost of project ' || coalesce(projects.project_number, totals.project_id) || ' is ' ||
        cast(cast(totals.job_cost as decimal(18,2)) as varchar) || ' in the project ledger and ' ||
        cast(cast(totals.ledger_cost as decimal(18,2)) as varchar) || ' in the general ledger' as detail,
    cast(null as varchar) as pm_value,
    cast(cast(totals.job_cost as decimal(18,2)) as varchar) as erp_value,
    cast(abs(totals.job_cost - totals.ledger_cost) as decimal(18,2)) as amount_at_risk,
    coalesce(totals.currency, setting_text('currency')) as currency,
    cast(null as timestamp with time zone) as occurred_at,
    'unknown' as cause,
    cast(null as varchar) as explained_by,
    totals.project_id as erp_project_id,
    cast(totals.job_cost as decimal(18,2)) as job_cost,
    cast(totals.ledger_cost as decimal(18,2)) as ledger_cost,
    cast(totals.job_cost - totals.ledger_cost as decimal(18,2)) as difference
from totals
left join link.erp_projects as projects on projects.erp_id = totals.project_id
where abs(totals.job_cost - totals.ledger_cost) > setting_decimal('amount_tolerance')
