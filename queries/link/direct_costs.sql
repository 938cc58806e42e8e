-- title:    Direct costs of PM and the ERP record that each names
-- question: Which cost did PM get from elsewhere, and which record of the ERP is it by the id that PM stores?
-- grain:    one row per PM direct cost line of a linked project
-- columns:
--   project_id         PM's record id of the project; of several that are one ERP project the first
--   record_id          PM's record id of the line
--   cost_code          as PM writes it
--   cost_type          the ERP's cost type, where it is linked
--   stored_id          the ERP's line, or its document, as PM stores it; null where no id that its connection stores names any
--   is_mirrored        whether PM stores an id, of whatever: a connector made the line
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

),

stored as (

    select distinct coalesce(source, '') as source, trim(linked_id) as stored_id from pm.job_costs where nullif(trim(linked_id), '') is not null

),

names as (

    select own_key(source, record_id) as name from erp.job_costs
    union
    select split_part(own_key(source, record_id), '|', -1) as name from erp.job_costs
    union
    select document_id as name from erp.job_costs
    union
    select document_type || '|' || document_id as name from erp.job_costs

),

-- Where none of five or more names anything they are keys of another system (as of documents, in link.stored_ids): its lines name nothing.
foreign_ids as (

    select stored.source
    from stored
    left join names on names.name = stored.stored_id
    group by stored.source
    having count(*) >= 5 and count(names.name) = 0

)

select
    jobs.project_id,
    costs.record_id,
    costs.cost_code,
    types.erp_type as cost_type,
    case when foreign_ids.source is null then nullif(trim(costs.linked_id), '') end as stored_id,
    nullif(trim(costs.linked_id), '') is not null as is_mirrored,
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
left join foreign_ids on foreign_ids.source = coalesce(costs.source, '')
