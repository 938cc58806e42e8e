-- title:    Cost posted outside the accounts of its cost type
-- check:    C5
-- entity:   job_costs
-- scope:    project
-- record_owner: erp
-- fix_side: erp
-- version:  1
-- risk:     the cost, without its sign
-- question: Which job cost stands in the ledger on an account that is not in the group of its cost type?
-- grain:    one row per ERP job cost line
-- requires: erp.job_costs.cost_type, erp.gl_transactions.cost_code, erp.gl_accounts.account_group
-- fix:      Re-class the ledger posting, or correct the cost type of the project transaction.
-- columns:
--   erp_project_id     the ERP's record id of the project
--   cost_code          code as written
--   cost_type          cost type of the line
--   document_id        the document that posted it
--   accounts           accounts that the document's cost was posted to
--   account_groups     their groups

-- Both ledgers of one document and code: the group of the cost type must be among the groups of the accounts it was posted to.
with groups as (

    select distinct account_group from erp.gl_accounts where account_group is not null

),

posted as (

    select
        lines.project_id,
        lines.document_id,
        coalesce(lines.cost_code, '') as cost_code,
        accounts.account_group,
        min(lines.account) as account
    from erp.gl_transactions as lines
    inner join erp.gl_accounts as accounts on accounts.account = lines.account
    where
        lines.document_id is not null and
        accounts.account_group is not null and
        (accounts.type is null or lower(accounts.type) like '%expense%' or lower(accounts.type) like '%cost%')
    group by lines.project_id, lines.document_id, coalesce(lines.cost_code, ''), accounts.account_group

),

told as (

    select
        project_id,
        document_id,
        cost_code,
        string_agg(account, ', ' order by account_group) as accounts,
        string_agg(account_group, ', ' order by account_group) as account_groups
    from posted
    group by project_id, document_id, cost_code

),

-- A cost type that is no account group is mapped elsewhere, and nothing can be said of it.
wrong as (

    select job_costs.*, told.accounts, told.account_groups
    from erp.job_costs as job_costs
    inner join groups on groups.account_group = job_costs.cost_type
    inner join told on
        told.project_id = job_costs.project_id and
        told.document_id = job_costs.document_id and
        told.cost_code = coalesce(job_costs.cost_code, '')
    left anti join posted on
        posted.project_id = job_costs.project_id and
        posted.document_id = job_costs.document_id and
        posted.cost_code = coalesce(job_costs.cost_code, '') and
        posted.account_group = job_costs.cost_type

)

select
    'C5:' || wrong.record_id as exception_key,
    projects.project_id,
    projects.project_number,
    cast(null as varchar) as pm_id,
    wrong.record_id as erp_id,
    coalesce(wrong.document_type || ' ', '') || wrong.document_id as label,
    'cost of ' || coalesce(cast(wrong.amount as varchar), 'no amount') || ' of type ' || wrong.cost_type || ' is posted to account ' ||
        wrong.accounts || ' (' || wrong.account_groups || ') in the ERP' as detail,
    cast(null as varchar) as pm_value,
    wrong.accounts as erp_value,
    cast(abs(wrong.amount) as decimal(18,2)) as amount_at_risk,
    coalesce(wrong.currency, setting_text('currency')) as currency,
    end_of_day(wrong.cost_date) as occurred_at,
    'coding' as cause,
    cast(null as varchar) as explained_by,
    wrong.project_id as erp_project_id,
    wrong.cost_code,
    wrong.cost_type,
    wrong.document_id,
    wrong.accounts,
    wrong.account_groups
from wrong
left join link.erp_projects as projects on projects.erp_id = wrong.project_id
