-- title:    ERP cost on a default code, or on none
-- check:    C4
-- entity:   job_costs
-- scope:    project
-- record_owner: erp
-- fix_side: erp
-- version:  1
-- risk:     the amount of the line, without its sign
-- question: Which cost on projects says nothing about what it was spent on?
-- grain:    one row per ERP job cost line, and per ledger line that no job cost represents
-- parameters: default_codes
-- fix:      Re-code the ERP transaction to the cost code of the work.
-- columns:
--   transaction_kind   job_cost or gl_transaction
--   erp_project_id     ERP's record id of the project
--   reason             default_code or no_code
--   cost_code          the code as written
--   cost_type          cost type as written
--   cost_date          date of the line
--   amount             amount of the line, debit positive
--   account            ledger account, on ledger lines
--   document_type      what was posted
--   document_id        its record id

with costed_documents as (

    select distinct project_id, document_id
    from erp.job_costs
    where document_id is not null

),

-- A cost is one cost, also where the ERP shows it in its project ledger and in its general ledger. Balance-sheet and
-- income lines of a project need no cost code; an account of unknown type may.
cost_lines as (

    select 'job_cost' as transaction_kind, source, record_id, project_id, cost_code, cost_type, cost_date, amount,
        cast(null as varchar) as account, document_type, document_id, currency
    from erp.job_costs

    union all

    select 'gl_transaction' as transaction_kind, lines.source, lines.record_id, lines.project_id, lines.cost_code, lines.cost_type,
        lines.date as cost_date, coalesce(lines.debit, 0) - coalesce(lines.credit, 0) as amount,
        lines.account, lines.document_type, lines.document_id, lines.currency
    from erp.gl_transactions as lines
    left anti join costed_documents on
        costed_documents.project_id = lines.project_id and
        costed_documents.document_id = lines.document_id
    left join erp.gl_accounts on gl_accounts.account = lines.account and (gl_accounts.source is not distinct from lines.source)
    where
        gl_accounts.type is null or
        lower(gl_accounts.type) like '%expense%' or
        lower(gl_accounts.type) like '%cost%'

),

-- Acumatica writes X where a line has no project. 00-000 and 000000 are the code that a form is left with: letters and digits all zero.
uncoded as (

    select
        *,
        case
            when coalesce(trim(cost_code), '') = '' then 'no_code'
            when regexp_like(regexp_replace(cost_code, '[^A-Za-z0-9]', '', 'g'), '^0+$') then 'default_code'
            when setting_list_contains('default_codes', cost_code) then 'default_code'
        end as reason
    from cost_lines
    where upper(coalesce(trim(own_key(source, project_id)), '')) not in ('', 'X')

)

select
    'C4:' || uncoded.transaction_kind || ':' || uncoded.record_id as exception_key,
    coalesce(projects.project_id, uncoded.project_id) as project_id,
    projects.project_number,
    cast(null as varchar) as pm_id,
    uncoded.record_id as erp_id,
    coalesce(uncoded.document_type || ' ', '') || coalesce(uncoded.document_id, uncoded.record_id) as label,
    'cost of ' || coalesce(cast(uncoded.amount as varchar), 'no amount') || ' in the ERP is on ' ||
        case when uncoded.reason = 'no_code' then 'no cost code' else 'default code ' || uncoded.cost_code end as detail,
    cast(null as varchar) as pm_value,
    uncoded.cost_code as erp_value,
    cast(abs(uncoded.amount) as decimal(18,2)) as amount_at_risk,
    coalesce(uncoded.currency, setting_text('currency')) as currency,
    end_of_day(uncoded.cost_date) as occurred_at,
    'coding' as cause,
    cast(null as varchar) as explained_by,
    uncoded.transaction_kind,
    uncoded.project_id as erp_project_id,
    uncoded.reason,
    uncoded.cost_code, uncoded.cost_type, uncoded.cost_date,
    cast(uncoded.amount as decimal(18,2)) as amount,
    uncoded.account, uncoded.document_type, uncoded.document_id
from uncoded
left join link.erp_projects as projects on projects.erp_id = uncoded.project_id
where uncoded.reason is not null
