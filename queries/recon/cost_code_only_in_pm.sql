-- title:    Cost codes in use in PM that the ERP does not have
-- check:    C1
-- entity:   cost_codes
-- scope:    project
-- missing_on: erp
-- record_owner: erp
-- fix_side: pm
-- version:  3
-- risk:     the larger of budget and commitments on the code in PM
-- question: On which PM codes stands money that the ERP has no code for?
-- grain:    one row per PM cost code of a project, and per code that PM uses without listing it
-- requires: pm.budget_lines
-- optional: pm.commitment_lines
-- fix:      Use an ERP code, or have accounting create this one and import it.
-- columns:
--   code               code as written
--   title              what it stands for
--   stored_erp_id      the ERP id that PM stores, if any: it points at nothing
--   budget_amount      revised cost budget on the code
--   committed_amount   lines of living commitments on the code

-- Procore copies the whole standard list into each project: codes without money are counted in D1 and are no exception.
with used as (

    select code_use.project_id, code_use.code_key, code_use.code as used_code, code_use.budget_amount, code_use.committed_amount,
        code_use.amount, code_use.currency, projects.source, coalesce(jobs.erp_source, books_of(projects.source)) as erp_source
    from link.cost_code_use as code_use
    left join pm.projects on projects.record_id = code_use.project_id
    left join shared.joined_projects as jobs on jobs.pm_id = code_use.project_id
    where code_use.side = 'pm' and code_use.amount > 0

),

erp_codes as (

    select jobs.pm_id as project_id, cost_codes.code_key
    from erp.cost_codes as cost_codes
    inner join link.projects as jobs on jobs.erp_id = cost_codes.project_id

),

-- What a list lacks may stand on its lines all the same: a code that was retired, or typed in.
unlisted as (

    select used.project_id || ':' || used.code_key as record_id, used.*
    from used
    left anti join pm.cost_codes as own on own.project_id = used.project_id and own.code_key = used.code_key
    left anti join pm.cost_codes as company on
        company.project_id is null and company.code_key = used.code_key and coalesce(company.source = used.source, true)
    left anti join erp.cost_codes as erp_company on
        erp_company.project_id is null and erp_company.code_key = used.code_key and coalesce(erp_company.source = used.erp_source, true)
    left anti join erp_codes on erp_codes.project_id = used.project_id and erp_codes.code_key = used.code_key

),

missing as (

    select cost_codes.record_id, cost_codes.record_id as pm_id, cost_codes.code, cost_codes.title, cost_codes.linked_id,
        cost_codes.created_at, used.project_id, used.budget_amount, used.committed_amount, used.amount, used.currency
    from pm.cost_codes as cost_codes
    inner join used on used.project_id = cost_codes.project_id and used.code_key = cost_codes.code_key
    left anti join link.cost_codes as links on links.pm_id = cost_codes.record_id

    union all

    select record_id, cast(null as varchar) as pm_id, used_code as code, cast(null as varchar) as title, cast(null as varchar) as linked_id,
        cast(null as timestamp with time zone) as created_at, project_id, budget_amount, committed_amount, amount, currency
    from unlisted

)

select
    'C1:' || missing.record_id as exception_key,
    missing.project_id,
    projects.number as project_number,
    missing.pm_id,
    cast(null as varchar) as erp_id,
    coalesce(missing.code, missing.record_id) as label,
    'cost code ' || coalesce(missing.code, missing.record_id) || coalesce(' ' || missing.title, '') || ' carries ' ||
        cast(missing.amount as varchar) || ' in PM and is not in the ERP' as detail,
    missing.code as pm_value,
    cast(null as varchar) as erp_value,
    missing.amount as amount_at_risk,
    coalesce(missing.currency, setting_text('currency')) as currency,
    missing.created_at as occurred_at,
    case when missing.pm_id is not null and missing.linked_id is null then 'entered on the wrong side' else 'unknown' end as cause,
    cast(null as varchar) as explained_by,
    missing.code,
    missing.title,
    missing.linked_id as stored_erp_id,
    missing.budget_amount,
    missing.committed_amount
from missing
left join pm.projects on projects.record_id = missing.project_id
