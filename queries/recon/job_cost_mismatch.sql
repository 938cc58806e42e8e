-- title:    Job cost that PM shows differently
-- check:    B3
-- entity:   job_costs
-- scope:    project
-- record_owner: erp
-- fix_side: erp
-- version:  1
-- risk:     the difference without its sign
-- question: On which codes does PM show another cost to date than the books?
-- grain:    one row per project, code and cost type; types of which PM mirrors no cost in the project are left out
-- parameters: amount_tolerance = 0.01
-- requires: pm.job_costs, erp.job_costs
-- fix:      Run the job cost import again; look for costs edited in PM since.
-- columns:
--   place              normalised code, and cost type where both sides name it
--   pm_amount          cost to date in PM
--   erp_amount         cost to date in the ERP
--   difference         PM minus ERP

-- Subcontract cost stands in PM as invoices, unless the connector mirrors it as direct costs too: a type is compared where PM has any.
with mirrored as (

    select distinct project_id, split_part(place, ' ', 2) as cost_type
    from link.budget_comparisons
    where
        measure = 'cost' and
        pm_count > 0

),

different as (

    select
        comparisons.*,
        projects.number as project_number,
        comparisons.pm_amount - comparisons.erp_amount as difference
    from link.budget_comparisons as comparisons
    inner join pm.projects on projects.record_id = comparisons.project_id
    inner join (select distinct pm_id from link.projects) as links on links.pm_id = comparisons.project_id
    inner join mirrored on
        mirrored.project_id = comparisons.project_id and
        mirrored.cost_type = split_part(comparisons.place, ' ', 2)
    where
        comparisons.measure = 'cost' and
        abs(comparisons.pm_amount - comparisons.erp_amount) > setting_decimal('amount_tolerance')

)

select
    'B3:' || different.project_id || ':' || different.place as exception_key,
    different.project_id,
    different.project_number,
    cast(null as varchar) as pm_id,
    cast(null as varchar) as erp_id,
    different.place as label,
    'cost of ' || different.place || ' is ' || cast(different.pm_amount as varchar) || ' in PM and ' || cast(different.erp_amount as varchar) ||
        ' in the ERP' as detail,
    cast(different.pm_amount as varchar) as pm_value,
    cast(different.erp_amount as varchar) as erp_value,
    cast(abs(different.difference) as decimal(18,2)) as amount_at_risk,
    coalesce(different.currency, setting_text('currency')) as currency,
    cast(null as timestamp with time zone) as occurred_at,
    case when different.pm_count = 0 then 'never synced' else 'unknown' end as cause,
    cast(null as varchar) as explained_by,
    different.place,
    different.pm_amount,
    different.erp_amount,
    cast(different.difference as decimal(18,2)) as difference
from different
