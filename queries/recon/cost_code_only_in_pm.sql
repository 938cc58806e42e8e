-- title:    Cost codes in use in PM that the ERP does not have
-- check:    C1
-- entity:   cost_codes
-- scope:    project
-- missing_on: erp
-- record_owner: erp
-- fix_side: pm
-- version:  1
-- risk:     the larger of budget and commitments on the code in PM
-- question: On which PM codes stands money that the ERP has no code for?
-- grain:    one row per PM cost code of a project
-- requires: pm.commitment_lines.cost_code, pm.budget_lines
-- fix:      Use an ERP code, or have accounting create this one and import it.
-- columns:
--   code               code as written
--   title              what it stands for
--   stored_erp_id      the ERP id that PM stores, if any: it points at nothing
--   budget_amount      revised cost budget on the code
--   committed_amount   lines of living commitments on the code

-- Procore copies the whole standard list into each project: codes without money are counted in D1 and are no exception.
with missing as (

    select
        cost_codes.*,
        code_use.budget_amount,
        code_use.committed_amount,
        code_use.amount,
        code_use.currency
    from pm.cost_codes as cost_codes
    inner join link.cost_code_use as code_use on
        code_use.side = 'pm' and
        code_use.project_id = cost_codes.project_id and
        code_use.code_key = cost_codes.code_key
    left anti join link.cost_codes as links on links.pm_id = cost_codes.record_id
    where code_use.amount > 0

)

select
    'C1:' || missing.record_id as exception_key,
    missing.project_id,
    projects.number as project_number,
    missing.record_id as pm_id,
    cast(null as varchar) as erp_id,
    coalesce(missing.code, missing.record_id) as label,
    'cost code ' || coalesce(missing.code, missing.record_id) || coalesce(' ' || missing.title, '') || ' carries ' ||
        cast(missing.amount as varchar) || ' in PM and is not in the ERP' as detail,
    missing.code as pm_value,
    cast(null as varchar) as erp_value,
    missing.amount as amount_at_risk,
    coalesce(missing.currency, setting_text('currency')) as currency,
    missing.created_at as occurred_at,
    case when missing.linked_id is null then 'entered on the wrong side' else 'unknown' end as cause,
    cast(null as varchar) as explained_by,
    missing.code,
    missing.title,
    missing.linked_id as stored_erp_id,
    missing.budget_amount,
    missing.committed_amount
from missing
left join pm.projects on projects.record_id = missing.project_id
