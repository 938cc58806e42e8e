-- title:    Cost codes in use in the ERP that the PM project does not have
-- check:    C2
-- entity:   cost_codes
-- scope:    project
-- missing_on: pm
-- record_owner: erp
-- fix_side: erp
-- version:  1
-- risk:     the largest of budget, commitments and cost on the code in the ERP
-- question: On which ERP codes does a synced project carry money that PM cannot show?
-- grain:    one row per ERP cost code and synced project
-- parameters: default_codes
-- requires: erp.job_costs.cost_code
-- fix:      Import the code into the PM project.
-- columns:
--   code               code as written
--   title              what it stands for
--   erp_project_id     the ERP's record id of the project
--   budget_amount      revised cost budget on the code
--   committed_amount   lines of living commitments on the code
--   cost_amount        cost to date on the code

with coded_projects as (

    select distinct project_id from erp.cost_codes where project_id is not null

),

known as (

    select distinct
        pm_codes.project_id,
        links.erp_id
    from link.cost_codes as links
    inner join pm.cost_codes as pm_codes on pm_codes.record_id = links.pm_id

),

-- Cost on a default code is C4's: PM need not have that code.
missing as (

    select
        cost_codes.record_id,
        cost_codes.code,
        cost_codes.title,
        projects.pm_id as project_id,
        projects.project_number,
        projects.erp_id as erp_project_id,
        code_use.budget_amount,
        code_use.committed_amount,
        code_use.cost_amount,
        code_use.amount,
        code_use.currency
    from link.cost_code_use as code_use
    inner join link.erp_projects as projects on projects.erp_id = code_use.project_id and projects.pm_id is not null
    left join coded_projects on coded_projects.project_id = code_use.project_id
    inner join erp.cost_codes on
        cost_codes.code_key = code_use.code_key and
        coalesce(cost_codes.source = projects.source, true) and
        -- The company's list stands for projects that have none of their own, as in link.cost_codes.
        coalesce(cost_codes.project_id, case when coded_projects.project_id is null then code_use.project_id end) = code_use.project_id
    left anti join known on known.project_id = projects.pm_id and known.erp_id = cost_codes.record_id
    where
        code_use.side = 'erp' and
        code_use.amount > 0 and
        not regexp_like(regexp_replace(code_use.code, '[^A-Za-z0-9]', '', 'g'), '^0+$') and
        not setting_list_contains('default_codes', code_use.code)

)

select
    'C2:' || missing.erp_project_id || ':' || missing.record_id as exception_key,
    missing.project_id,
    missing.project_number,
    cast(null as varchar) as pm_id,
    missing.record_id as erp_id,
    coalesce(missing.code, missing.record_id) as label,
    'cost code ' || coalesce(missing.code, missing.record_id) || coalesce(' ' || missing.title, '') || ' carries ' ||
        cast(missing.amount as varchar) || ' in the ERP and is not in the PM project' as detail,
    cast(null as varchar) as pm_value,
    missing.code as erp_value,
    missing.amount as amount_at_risk,
    coalesce(missing.currency, setting_text('currency')) as currency,
    cast(null as timestamp with time zone) as occurred_at,
    'unknown' as cause,
    cast(null as varchar) as explained_by,
    missing.code,
    missing.title,
    missing.erp_project_id,
    missing.budget_amount,
    missing.committed_amount,
    missing.cost_amount
from missing
