-- title:    Billing against the general ledger
-- question: Does what each job billed come to the revenue that the ledger holds for it?
-- grain:    one row per connection, job and currency; one without a job where nothing was billed
-- parameters: amount_tolerance = 0.01
-- columns:
--   pin                the pin that is read, or `not pinned`
--   accounting_date    the date of both
--   status             ties, differs, partial (invoices that do not tell their gross amount), not_evaluated or not_applicable: read it first
--   reason             why it could not be said
--   source             the ERP connection
--   project_number     the number people use; null = posted as revenue without a job
--   currency           of the amounts
--   billed_amount      gross of released owner invoices by the date, retainage included: B of audit.wip_schedule
--   ledger_amount      postings on income accounts with the job, by the date, credits positive
--   difference         billed less ledger; null where it could not be said
--   manual_amount      of the postings: lines that name no document, as they change revenue: an entry for what is under- or overbilled is one
--   unexplained_amount difference with the manual lines
-- sources:  the PBC list's billing reconciled to the WIP schedule; costs and revenue of open and completed jobs have to come to the trial
--           balance. Revenue without a job is no billing of one: it stands in a row of its own
--           (`not_applicable`), and has no difference.

with ground as (

    select status, reason from link.audit_grounds where view_name = 'billing_to_gl' and project_id is null

),

both_ledgers as (

    select invoices.source, invoices.project_id, coalesce(invoices.currency, setting_text('currency')) as currency,
        invoices.gross_amount as billed, cast(0 as decimal(18,2)) as posted, cast(0 as decimal(18,2)) as manual,
        case when invoices.gross_amount is null then 1 else 0 end as untold
    from erp.owner_invoices as invoices
    cross join meta.clock
    where
        invoices.approval_status in ('approved', 'closed') and (invoices.kind is distinct from 'prepayment') and
        coalesce(invoices.billing_date <= clock.accounting_date, true)

    union all

    select lines.source, lines.project_id, coalesce(lines.currency, setting_text('currency')),
        cast(0 as decimal(18,2)), coalesce(lines.credit, 0) - coalesce(lines.debit, 0),
        case when lines.document_id is null then coalesce(lines.credit, 0) - coalesce(lines.debit, 0) else 0 end, 0
    from erp.gl_transactions as lines
    inner join erp.gl_accounts as accounts on accounts.account = lines.account and accounts.source = lines.source
    cross join meta.clock
    where lower(accounts.type) like '%income%' and coalesce(lines.date <= clock.accounting_date, true)

),

jobs as (

    select source, case when upper(coalesce(trim(own_key(source, project_id)), '')) not in ('', 'X') then project_id end as project_id, currency,
        sum(billed) as billed, sum(posted) as posted, sum(manual) as manual, sum(untold) as untold
    from both_ledgers
    group by source, case when upper(coalesce(trim(own_key(source, project_id)), '')) not in ('', 'X') then project_id end, currency

)

select
    coalesce(clock.pin, 'not pinned') as pin,
    clock.accounting_date,
    case
        when ground.status <> 'complete' then ground.status
        when jobs.source is not null and jobs.project_id is null then 'not_applicable'
        when jobs.untold > 0 then 'partial'
        when abs(coalesce(jobs.billed, 0) - jobs.posted) > setting_decimal('amount_tolerance') then 'differs'
        else 'ties'
    end as status,
    coalesce(ground.reason, case when jobs.source is not null and jobs.project_id is null then 'without a job'
        when jobs.untold > 0 then cast(jobs.untold as varchar) || ' owner invoices do not tell their gross amount' end) as reason,
    jobs.source,
    coalesce(projects.project_number, jobs.project_id) as project_number,
    jobs.currency,
    cast(coalesce(jobs.billed, case when jobs.source is not null then 0 end) as decimal(18,2)) as billed_amount,
    cast(jobs.posted as decimal(18,2)) as ledger_amount,
    cast(case when ground.status = 'complete' and jobs.untold = 0 and jobs.project_id is not null then coalesce(jobs.billed, 0) - jobs.posted end
        as decimal(18,2)) as difference,
    cast(jobs.manual as decimal(18,2)) as manual_amount,
    cast(case when ground.status = 'complete' and jobs.untold = 0 and jobs.project_id is not null
        then coalesce(jobs.billed, 0) - jobs.posted + jobs.manual end as decimal(18,2)) as unexplained_amount
from ground
cross join meta.clock
left join jobs on true
left join link.erp_projects as projects on projects.erp_id = jobs.project_id and projects.source = jobs.source
