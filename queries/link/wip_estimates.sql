-- title:    Estimates of jobs' total cost
-- question: What will each job cost in all, and who says so?
-- grain:    one row per job and currency
-- columns:
--   project_id         PM's record id of the project (of several that are one ERP project the first), else the ERP's
--   currency           of the amounts
--   original_cost      the original budget of the side whose budget would count
--   estimated_cost     the first of these that is told: PM's estimate at completion, the ERP's, PM's revised budget, the ERP's
--   estimate_source    which of them
-- An estimate stands as it was at the commit: systems keep no dated ones. An estimate at completion counts where every cost line tells one
-- and something is left to do: on the day that a job starts most systems show what was spent as the estimate.
--   budget 100,000.00, spent 20,000.00, to complete 0.00 on every line → nobody has estimated yet: the budget stands.

with lines as (

    select 'pm' as side, coalesce(joined.project_id, budget.project_id) as project_id, budget.currency, budget.original_amount,
        budget.revised_amount, budget.actual_amount,
        coalesce(budget.cost_at_completion, budget.actual_amount + budget.cost_to_complete) as at_completion
    from pm.budget_lines as budget
    left join shared.joined_projects as joined on joined.pm_id = budget.project_id
    where budget.budget_type = 'cost'

    union all

    select 'erp' as side, coalesce(jobs.project_id, budget.project_id) as project_id, budget.currency, budget.original_amount,
        budget.revised_amount, budget.actual_amount,
        coalesce(budget.cost_at_completion, budget.actual_amount + budget.cost_to_complete) as at_completion
    from erp.budget_lines as budget
    left join link.erp_projects as jobs on jobs.erp_id = budget.project_id and jobs.source = budget.source
    where budget.budget_type = 'cost'

),

sides as (

    select
        side,
        project_id,
        coalesce(currency, setting_text('currency')) as currency,
        nullif(sum(revised_amount), 0) as budget,
        nullif(sum(original_amount), 0) as original,
        case
            when count(at_completion) = count(*) and sum(at_completion) <> sum(coalesce(actual_amount, 0)) then sum(at_completion)
        end as forecast
    from lines
    group by side, project_id, coalesce(currency, setting_text('currency'))

),

told as (

    select
        project_id,
        currency,
        max(case when side = 'pm' then forecast end) as pm_forecast,
        max(case when side = 'erp' then forecast end) as erp_forecast,
        max(case when side = 'pm' then budget end) as pm_budget,
        max(case when side = 'erp' then budget end) as erp_budget,
        max(case when side = 'pm' then original end) as pm_original,
        max(case when side = 'erp' then original end) as erp_original
    from sides
    group by project_id, currency

)

select
    project_id,
    currency,
    cast(coalesce(pm_original, erp_original) as decimal(18,2)) as original_cost,
    cast(coalesce(pm_forecast, erp_forecast, pm_budget, erp_budget) as decimal(18,2)) as estimated_cost,
    case
        when pm_forecast is not null then 'pm estimate at completion'
        when erp_forecast is not null then 'erp estimate at completion'
        when pm_budget is not null then 'pm revised budget'
        when erp_budget is not null then 'erp revised budget'
    end as estimate_source
from told
