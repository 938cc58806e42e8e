-- title:    Documents that one of job cost and ledger holds otherwise
-- question: Which documents make the differences of audit.job_cost_to_gl?
-- grain:    one row per connection, job, cost type, document and currency that differs; one without a document where none does
-- parameters: amount_tolerance = 0.01
-- columns:
--   pin                the pin that is read, or `not pinned`
--   accounting_date    the date of both
--   status             complete, not_evaluated or not_applicable: read it before the rest
--   reason             why it is not complete
--   source             the ERP connection
--   project_number     the number people use
--   cost_type          account group or cost type; null = none
--   document_id        number of the document; null = entered without one
--   currency           of the amounts
--   job_cost           in the project ledger
--   ledger_cost        in the general ledger
--   difference         job cost less ledger
--   last_dated         the newest entry of it

select
    coalesce(clock.pin, 'not pinned') as pin,
    clock.accounting_date,
    ground.status,
    ground.reason,
    documents.source,
    coalesce(projects.project_number, documents.project_id) as project_number,
    documents.cost_type,
    documents.document_id,
    documents.currency,
    documents.job_cost,
    documents.ledger_cost,
    cast(documents.job_cost - documents.ledger_cost as decimal(18,2)) as difference,
    documents.last_dated
from (select status, reason from link.audit_grounds where view_name = 'job_cost_to_gl' and project_id is null) as ground
cross join meta.clock
left join link.job_cost_documents as documents on abs(documents.job_cost - documents.ledger_cost) > setting_decimal('amount_tolerance')
left join link.erp_projects as projects on projects.erp_id = documents.project_id and projects.source = documents.source
