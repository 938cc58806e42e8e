-- title:    Work in progress (contracts in progress and completed)
-- question: What has each job earned by cost-to-cost, against what was billed, and how did its margin move since the previous pin?
-- grain:    one row per job and currency; one without a job where there is none
-- columns:
--   pin                the pin that is read, or `not pinned`
--   accounting_date    the date of the schedule
--   status             complete, partial, not_evaluated or not_applicable: read it before the figures
--   reason             why it is not complete
--   project_number     the number people use
--   project_name       name of the job
--   is_closed          completed in the ERP
--   currency           of the amounts
--   contract_amount    C: original sum and change orders approved by the date
--   contract_source    whose contract: pm, else erp
--   contract_difference PM's contract less the ERP's: change orders past the cut-off (audit.change_order_log)
--   estimated_cost     E: estimate at completion, else revised budget; never less than the cost to date
--   estimate_source    whose estimate
--   profit_at_completion C − E
--   cost_to_date       K: the ERP's job cost
--   uninstalled_amount U: materials stored, not installed, in K
--   percent_complete   p = (K − U) / (E − U); 50 = fifty percent
--   earned_revenue     R = p × (C − U) + U
--   profit_to_date     R − K
--   billed_to_date     B: retainage included
--   underbilled_amount R − B where more was earned: costs and estimated earnings in excess of billings (contract asset)
--   overbilled_amount  B − R where more was billed: billings in excess (contract liability)
--   loss_provision     E − C of a job that loses money, less the loss that R − K holds already: what is still to be booked
--   backlog_amount     C − R
--   pending_amount     change orders priced and not agreed at the date: they may be what is underbilled
--   previous_pin       the pin of the last period before the date; null = there is none
--   previous_profit_at_completion C − E as that pin had it
--   gain_fade          profit at completion now less then: positive = gain, negative = fade; null where the pin could not tell
--   original_profit    the margin that was bid: original contract less original budget
--   gain_fade_since_original profit at completion now less that
--   period_revenue     R now less R then, of a job that began since all of it; null where the pin could not tell
--   period_cost        K now less K then, as the revenue
--   flags              what a reviewer asks about
-- sources:  ASC 606-10-25-31 to 37 and 55-21; ASC 605-35-25-45 to 47 (provision for the whole loss); AICPA Audit and Accounting Guide
--           Construction Contractors (schedule of contracts, back to the general ledger: audit.job_cost_to_gl and audit.control_tie_out).

with ground as (

    select project_id, status, reason from link.audit_grounds where view_name = 'wip_schedule'

),

jobs as (

    select jobs.project_id, min(jobs.project_number) as project_number, min(projects.name) as project_name,
        bool_and(projects.approval_status = 'closed') as is_closed
    from link.erp_projects as jobs
    inner join erp.projects on projects.record_id = jobs.erp_id and projects.source = jobs.source
    group by jobs.project_id

),

previous as (

    select clock.pin, grounds.status
    from as_of('meta.clock', 'previous pin') as clock
    left join as_of('link.audit_grounds', 'previous pin') as grounds on grounds.view_name = 'wip_schedule' and grounds.project_id is null

),

-- What a job was at a pin that could not look is not known: it did not begin since.
unread as (

    select project_id from as_of('link.audit_grounds', 'previous pin') where view_name = 'wip_schedule' and project_id is not null

),

compared as (

    select
        figures.*,
        previous.pin as previous_pin,
        previous.status in ('complete', 'partial') and unread.project_id is null as is_comparable,
        earlier.project_id is not null as was_there,
        earlier.profit_at_completion as earlier_profit, earlier.earned_revenue as earlier_revenue, earlier.cost_to_date as earlier_cost
    from link.wip_figures as figures
    left join previous on true
    left join unread on unread.project_id = figures.project_id
    left join as_of('link.wip_figures', 'previous pin') as earlier on
        earlier.project_id = figures.project_id and earlier.currency = figures.currency

)

select
    coalesce(clock.pin, 'not pinned') as pin,
    clock.accounting_date,
    case
        when own.status is not null then own.status
        when firm.status in ('not_evaluated', 'not_applicable') then firm.status
        when figures.gap is not null then 'partial'
        else 'complete'
    end as status,
    coalesce(own.reason, case when firm.status in ('not_evaluated', 'not_applicable') then firm.reason end, figures.gap) as reason,
    coalesce(jobs.project_number, projects.number) as project_number,
    coalesce(projects.name, jobs.project_name) as project_name,
    jobs.is_closed,
    figures.currency,
    figures.contract_amount,
    figures.contract_source,
    figures.contract_difference,
    figures.estimated_cost,
    figures.estimate_source,
    figures.profit_at_completion,
    figures.cost_to_date,
    figures.uninstalled_amount,
    figures.percent_complete,
    figures.earned_revenue,
    figures.profit_to_date,
    figures.billed_to_date,
    figures.underbilled_amount,
    figures.overbilled_amount,
    figures.loss_provision,
    cast(figures.contract_amount - figures.earned_revenue as decimal(18,2)) as backlog_amount,
    figures.pending_amount,
    figures.previous_pin,
    case when figures.is_comparable then figures.earlier_profit end as previous_profit_at_completion,
    cast(case when figures.is_comparable then figures.profit_at_completion - figures.earlier_profit end as decimal(18,2)) as gain_fade,
    figures.original_profit,
    cast(figures.profit_at_completion - figures.original_profit as decimal(18,2)) as gain_fade_since_original,
    -- A job that the pin does not know yet began since.
    cast(
        case when figures.is_comparable then figures.earned_revenue - case when figures.was_there then figures.earlier_revenue else 0 end end
        as decimal(18,2)
    ) as period_revenue,
    cast(
        case when figures.is_comparable then figures.cost_to_date - case when figures.was_there then figures.earlier_cost else 0 end end
        as decimal(18,2)
    ) as period_cost,
    nullif(concat_ws(
        ', ',
        case when figures.is_overrun then 'cost beyond the estimate' end,
        case when figures.profit_at_completion < 0 then 'loses money' end,
        case when figures.estimate_source like '%budget' then 'budget in the place of an estimate' end,
        case when figures.earned_revenue > figures.billed_to_date and figures.pending_amount > 0 then 'underbilled with change orders pending' end,
        case when figures.is_stored_beyond then 'stored materials beyond the cost' end,
        case when figures.is_undated then 'contract sum of the moment, not of the date' end,
        case when abs(figures.contract_difference) > setting_decimal('amount_tolerance') then 'contract sums differ' end
    ), '') as flags
from ground as firm
cross join meta.clock
left join compared as figures on true
left join ground as own on own.project_id = figures.project_id
left join jobs on jobs.project_id = figures.project_id
left join pm.projects on projects.record_id = figures.project_id
where firm.project_id is null
