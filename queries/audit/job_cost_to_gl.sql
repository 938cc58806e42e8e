-- title:    Job cost against the general ledger
-- question: Does the cost of each job come to what the ledger holds for it, by cost type?
-- grain:    one row per connection, job, cost type and currency; one without a job where there is no cost
-- parameters: amount_tolerance = 0.01
-- columns:
--   pin                the pin that is read, or `not pinned`
--   accounting_date    the date of both
--   status             ties, differs, not_evaluated or not_applicable
--   reason             why it could not be said
--   source             the ERP connection
--   project_number     the number people use
--   cost_type          account group or cost type; null = none
--   currency           of the amounts
--   job_cost           project transactions dated by the date: what audit.wip_schedule calls cost to date
--   ledger_cost        postings on expense and cost accounts with the project, by the date
--   difference         job cost less ledger; null where it could not be said
--   differing_count    documents that differ: audit.job_cost_differences lists them
-- sources:  as T4, and by cost type: the reconciliation of job cost to the trial balance that the PBC list asks for.

with ground as (

    select status, reason from link.audit_grounds where view_name = 'job_cost_to_gl' and project_id is null

),

jobs as (

    select source, project_id, cost_type, currency, sum(job_cost) as job_cost, sum(ledger_cost) as ledger_cost,
        count(case when abs(job_cost - ledger_cost) > setting_decimal('amount_tolerance') then 1 end) as differing_count
    from link.job_cost_documents
    group by source, project_id, cost_type, currency

)

select
    coalesce(clock.pin, 'not pinned') as pin,
    clock.accounting_date,
    case
        when ground.status <> 'complete' then ground.status
        when abs(jobs.job_cost - jobs.ledger_cost) > setting_decimal('amount_tolerance') then 'differs'
        else 'ties'
    end as status,
    ground.reason,
    jobs.source,
    coalesce(projects.project_number, jobs.project_id) as project_number,
    jobs.cost_type,
    jobs.currency,
    cast(jobs.job_cost as decimal(18,2)) as job_cost,
    cast(jobs.ledger_cost as decimal(18,2)) as ledger_cost,
    cast(case when ground.status = 'complete' then jobs.job_cost - jobs.ledger_cost end as decimal(18,2)) as difference,
    jobs.differing_count
from ground
cross join meta.clock
left join jobs on true
left join link.erp_projects as projects on projects.erp_id = jobs.project_id and projects.source = jobs.source
