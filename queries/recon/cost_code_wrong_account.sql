-- title:    Cost posted outside the accounts of its cost type
-- check:    C5
-- entity:   job_costs
-- scope:    project
-- record_owner: erp
-- fix_side: erp
-- version:  1
-- risk:     the cost, without its sign
-- question: Which job cost stands in the ledger on an account that cost of its type does not belong on?
-- grain:    one row per ERP job cost line; one per project and cost type of which nobody says where it belongs
-- requires: erp.job_costs.cost_type, erp.gl_transactions.cost_code, erp.gl_accounts
-- fix:      Re-class the ledger posting, or correct the cost type of the project transaction.
-- columns:
--   erp_project_id     the ERP's record id of the project
--   cost_code          code as written
--   cost_type          cost type of the line
--   document_id        the document that posted it
--   accounts           accounts that the document's cost was posted to
--   account_groups     their groups
--   verdict            null; not_applicable where neither an account group nor crosswalks/cost_type_accounts.csv names the cost type
--   verdict_scope      project where that holds for all cost of the project, or of the firm

-- Both ledgers of one document and code: one of the accounts that it was posted to must be one that cost of the type belongs on.
with posted as (

    select distinct lines.source, lines.project_id, lines.document_id, coalesce(lines.cost_code, '') as cost_code, lines.account, accounts.account_group
    from erp.gl_transactions as lines
    inner join erp.gl_accounts as accounts on accounts.account = lines.account and (accounts.source is not distinct from lines.source)
    where lines.document_id is not null and
        (accounts.type is null or lower(accounts.type) like '%expense%' or lower(accounts.type) like '%cost%')

),

told as (

    select project_id, document_id, cost_code, string_agg(account, ', ' order by account) as accounts,
        string_agg(account_group, ', ' order by account) as account_groups, count(account_group) > 0 as has_group
    from (select project_id, document_id, cost_code, account_group, min(account) as account from posted group by 1, 2, 3, 4) as accounts
    group by project_id, document_id, cost_code

),

right_ones as (

    select distinct posted.project_id, posted.document_id, posted.cost_code, upper(accounts.cost_type) as cost_type
    from posted
    inner join link.cost_type_accounts as accounts on
        accounts.account = posted.account and (accounts.source is not distinct from posted.source)

),

judged_types as (

    select coalesce(source, '') as source, upper(cost_type) as cost_type, min(basis) as basis
    from link.cost_type_accounts
    group by coalesce(source, ''), upper(cost_type)

),

costs as (

    select job_costs.*, judged_types.cost_type is not null as is_judged, judged_types.basis
    from erp.job_costs as job_costs
    left join judged_types on
        judged_types.cost_type = upper(job_costs.cost_type) and judged_types.source = coalesce(job_costs.source, '')
    where job_costs.cost_type is not null

),

-- An account without a group may belong to any; the firm's file names all that a cost type has.
wrong as (

    select costs.*, told.accounts, told.account_groups
    from costs
    inner join told on
        told.project_id = costs.project_id and told.document_id = costs.document_id and
        told.cost_code = coalesce(costs.cost_code, '')
    left anti join right_ones on
        right_ones.project_id = costs.project_id and right_ones.document_id = costs.document_id and
        right_ones.cost_code = coalesce(costs.cost_code, '') and right_ones.cost_type = upper(costs.cost_type)
    where costs.is_judged and (costs.basis = 'file' or told.has_group)

),

unknown as (

    select projects.project_id, projects.project_number, costs.cost_type,
        case when bool_or(judged_projects.project_id is not null) then null else 'project' end as verdict_scope
    from costs
    inner join link.erp_projects as projects on projects.erp_id = costs.project_id
    left join (select distinct project_id from costs where is_judged) as judged_projects on judged_projects.project_id = costs.project_id
    where not costs.is_judged
    group by projects.project_id, projects.project_number, costs.cost_type

    union all

    select cast(null as varchar), cast(null as varchar), cast(null as varchar), 'project' as verdict_scope
    from judged_types
    having count(*) = 0

)

select
    'C5:' || wrong.record_id as exception_key,
    projects.project_id, projects.project_number, cast(null as varchar) as pm_id, wrong.record_id as erp_id,
    coalesce(wrong.document_type || ' ', '') || wrong.document_id as label,
    'cost of ' || coalesce(cast(wrong.amount as varchar), 'no amount') || ' of type ' || wrong.cost_type || ' is posted to account ' ||
        wrong.accounts || coalesce(' (' || wrong.account_groups || ')', '') || ' in the ERP' as detail,
    cast(null as varchar) as pm_value, wrong.accounts as erp_value,
    cast(abs(wrong.amount) as decimal(18,2)) as amount_at_risk,
    coalesce(wrong.currency, setting_text('currency')) as currency,
    end_of_day(wrong.cost_date) as occurred_at, 'coding' as cause, cast(null as varchar) as explained_by,
    wrong.project_id as erp_project_id, wrong.cost_code, wrong.cost_type, wrong.document_id,
    wrong.accounts, wrong.account_groups, cast(null as varchar) as verdict, cast(null as varchar) as verdict_scope
from wrong
left join link.erp_projects as projects on projects.erp_id = wrong.project_id

union all

select
    'C5:' || coalesce(project_id, 'firm') || ':unknown ' || coalesce(cost_type, '') as exception_key,
    project_id, project_number, cast(null as varchar) as pm_id, cast(null as varchar) as erp_id,
    coalesce(cost_type, '(all)') as label,
    'no account group and no line of crosswalks/cost_type_accounts.csv says which accounts cost of ' ||
        coalesce('type ' || cost_type, 'any type') || ' belongs on' as detail,
    cast(null as varchar) as pm_value, cast(null as varchar) as erp_value,
    cast(0 as decimal(18,2)) as amount_at_risk, setting_text('currency') as currency,
    cast(null as timestamp with time zone) as occurred_at, 'unknown' as cause, cast(null as varchar) as explained_by,
    cast(null as varchar) as erp_project_id, cast(null as varchar) as cost_code, cost_type,
    cast(null as varchar) as document_id, cast(null as varchar) as accounts, cast(null as varchar) as account_groups,
    'not_applicable' as verdict, verdict_scope
from unknown
