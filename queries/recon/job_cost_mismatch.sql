-- title:    Job cost that PM shows differently
-- check:    B3
-- entity:   job_costs
-- scope:    project
-- missing_on: pm
-- record_owner: erp
-- fix_side: erp
-- version:  2
-- risk:     the difference without its sign; 0 where currencies differ
-- question: On which codes does PM show another cost to date than the books?
-- grain:    one row per project, code and cost type that differs; one per project and cost type that cannot be compared
-- grace:    48 hours
-- parameters: amount_tolerance = 0.01
-- requires: pm.job_costs, erp.job_costs
-- fix:      Run the job cost import again; look for costs edited in PM since.
-- columns:
--   comparison         differs, missing_in_pm, missing_in_erp, currency_differs or not_comparable
--   verdict            null; where nothing can be compared: not_applicable (PM is never sent it) or not_evaluated
--   code_key           normalised code
--   cost_type          the ERP's cost type; null where not every line of the code names a linked one
--   place              code and cost type
--   pm_amount          cost to date in PM: direct costs and approved requisitions, gross; items still in grace apart
--   erp_amount         cost to date in the ERP
--   difference         PM minus ERP
--   item_count         documents and lines of which the two sides hold other amounts

with ranked as (

    select
        items.*,
        abs(gap) > setting_decimal('amount_tolerance') as is_different,
        row_number() over (partition by project_id, place, verdict order by abs(gap) desc, item_id) as turn
    from link.comparable_costs as items

),

places as (

    select
        project_id, code_key, cost_type, place,
        coalesce(min(case when pm_count > 0 then label end), min(label)) as label,
        sum(pm_count) as pm_count, sum(erp_count) as erp_count,
        cast(sum(pm_amount) as decimal(18,2)) as pm_amount, cast(sum(erp_amount) as decimal(18,2)) as erp_amount,
        count(case when is_different then 1 end) as item_count,
        count(case when is_different and explained_by is null then 1 end) as unexplained_count,
        min(case when turn = 1 then explained_by end) as explained_by,
        min(case when is_different then moved_at end) as moved_at,
        coalesce(min(pm_currency), min(erp_currency)) as currency,
        coalesce(min(least(pm_currency, erp_currency)) <> max(greatest(pm_currency, erp_currency)), false) as currency_differs
    from ranked
    where verdict is null
    group by project_id, code_key, cost_type, place

),

-- In a project of which nothing at all can be compared the check has not looked, whoever should have sent it.
told as (

    select
        project_id, code_key, cost_type, place, label,
        case
            when currency_differs then 'currency_differs'
            when pm_count = 0 then 'missing_in_pm'
            when erp_count = 0 then 'missing_in_erp'
            else 'differs'
        end as comparison,
        cast(null as varchar) as verdict,
        pm_amount, erp_amount, item_count,
        case when unexplained_count = 0 then explained_by end as explained_by,
        moved_at, currency
    from places
    where currency_differs or abs(pm_amount - erp_amount) > setting_decimal('amount_tolerance')

    union all

    select
        ranked.project_id, cast(null as varchar) as code_key, ranked.cost_type,
        cast(null as varchar) as place, cast(null as varchar) as label,
        'not_comparable' as comparison,
        case when compared.project_id is null then 'not_evaluated' else ranked.verdict end as verdict,
        cast(sum(ranked.pm_amount) as decimal(18,2)) as pm_amount, cast(sum(ranked.erp_amount) as decimal(18,2)) as erp_amount,
        count(*) as item_count,
        cast(null as varchar) as explained_by, cast(null as timestamp with time zone) as moved_at,
        min(coalesce(ranked.pm_currency, ranked.erp_currency)) as currency
    from ranked
    left join (select distinct project_id from places) as compared on compared.project_id = ranked.project_id
    where ranked.verdict is not null
    group by ranked.project_id, ranked.cost_type, case when compared.project_id is null then 'not_evaluated' else ranked.verdict end

)

select
    'B3:' || told.project_id || ':' || coalesce(told.place, told.verdict || ' ' || coalesce(told.cost_type, '(none)')) as exception_key,
    told.project_id,
    projects.number as project_number,
    cast(null as varchar) as pm_id, cast(null as varchar) as erp_id,
    coalesce(told.label, told.cost_type, '(none)') as label,
    case
        when told.verdict is null then
            'cost of ' || told.label || ' is ' || cast(told.pm_amount as varchar) ||
            case when told.comparison = 'currency_differs' then ', in several currencies,' else '' end || ' in PM and ' ||
            cast(told.erp_amount as varchar) || ' in the ERP'
        else
            'cost of ' || coalesce('type ' || told.cost_type, 'no type') || ' over ' || cast(told.erp_amount as varchar) ||
            ' in the ERP cannot be compared' || coalesce(' on project ' || projects.number, '') || ': PM shows none of it'
    end as detail,
    cast(told.pm_amount as varchar) as pm_value, cast(told.erp_amount as varchar) as erp_value,
    cast(case when told.comparison = 'currency_differs' then 0 else abs(told.pm_amount - told.erp_amount) end as decimal(18,2)) as amount_at_risk,
    coalesce(told.currency, setting_text('currency')) as currency,
    told.moved_at as occurred_at,
    case told.comparison when 'currency_differs' then 'currency_differs' when 'missing_in_pm' then 'never synced' else 'unknown' end as cause,
    told.explained_by,
    told.comparison, told.verdict,
    told.code_key, told.cost_type, told.place, told.pm_amount, told.erp_amount,
    cast(case when told.comparison <> 'currency_differs' then told.pm_amount - told.erp_amount end as decimal(18,2)) as difference,
    told.item_count
from told
left join pm.projects on projects.record_id = told.project_id
