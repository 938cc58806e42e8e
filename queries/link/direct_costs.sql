-- title:    Direct costs of PM and the ERP record that each names
-- question: Which cost did PM get from elsewhere, and which record of the ERP is it by the id that PM stores?
-- grain:    one row per PM direct cost line of a linked project
-- columns:
--   project_id         PM's record id of the project; of several that are one ERP project the first
--   record_id          PM's record id of the line
--   cost_code          as PM writes it
--   cost_type          the ERP's cost type, where it is linked
--   stored_id          the ERP's line, or its document, as PM stores it
--   document_type      what PM calls the document
--   document_key       normalised number of the document
--   dated              day of the cost
--   amount             without tax
--   currency           of the amount
--   moved_at           when the line last changed, UTC

with types as (

    select * from shared.linked_types

),

jobs as (

    select * from shared.joined_projects

)

select
    jobs.project_id,
    costs.record_id,
    costs.cost_code,
    types.erp_type as cost_type,
    nullif(trim(costs.linked_id), '') as stored_id,
    costs.document_type,
    normalize_number(costs.document_id) as document_key,
    costs.cost_date as dated,
    costs.amount,
    costs.currency,
    coalesce(costs.updated_at, costs.created_at) as moved_at
from pm.job_costs as costs
inner join jobs on jobs.pm_id = costs.project_id
left join types on
    types.pm_type = costs.cost_type and
    coalesce(types.pm_source, '') = coalesce(costs.source, '') and
    coalesce(types.erp_source, '') = coalesce(jobs.erp_source, '')
