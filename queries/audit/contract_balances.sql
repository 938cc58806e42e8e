-- title:    Contract assets and liabilities
-- question: What does each contract come to on the balance sheet: earned and not billed, billed and not earned, retained, receivable?
-- grain:    one row per job and currency; one without a job where there is none
-- columns:
--   pin                the pin that is read, or `not pinned`
--   accounting_date    the date of the balances
--   status             complete, partial (a figure of the job is missing), not_evaluated or not_applicable: read it before the figures
--   reason             why it is not complete
--   project_number     the number people use
--   currency           of the amounts
--   earned_revenue     R of audit.wip_schedule
--   billed_to_date     B
--   underbilled_amount R − B where more was earned
--   overbilled_amount  B − R where more was billed
--   retainage_amount   retained by the owner and not billed: due when the work is accepted, so it is no receivable yet
--   receivable_amount  open in the aging: billed, and due by the calendar alone
--   contract_asset     R − B + retainage of the job, where that is more than nothing
--   contract_liability the same the other way round: positive as owed
--   flags              what a reviewer asks about
-- sources:  ASC 606-10-45-1 to 5: one net balance for each contract; what is conditional on more than the passage of time is a contract asset, and
--           no receivable. Whether a contract's retainage is conditional on more is for people: where it is not, take it out of the asset.

with ground as (

    select project_id, status, reason from link.audit_grounds where view_name = 'contract_balances'

),

receivables as (

    select coalesce(jobs.project_id, items.project_id) as project_id, items.currency,
        sum(items.open_amount) as open_amount, sum(items.retainage_amount) as retainage_amount
    from link.receivable_items as items
    left join link.erp_projects as jobs on jobs.erp_id = items.project_id and jobs.source = items.source
    where items.project_id is not null
    group by coalesce(jobs.project_id, items.project_id), items.currency

),

balances as (

    select
        coalesce(figures.project_id, receivables.project_id) as project_id,
        coalesce(figures.currency, receivables.currency) as currency,
        case when figures.project_id is null then 'billed in ' || receivables.currency || ' without a line in the WIP schedule' else figures.gap end as gap,
        figures.earned_revenue, figures.billed_to_date, figures.underbilled_amount, figures.overbilled_amount,
        coalesce(receivables.retainage_amount, 0) as retainage_amount,
        coalesce(receivables.open_amount, 0) as open_amount,
        figures.earned_revenue - figures.billed_to_date + coalesce(receivables.retainage_amount, 0) as net_amount
    from link.wip_figures as figures
    full join receivables on receivables.project_id = figures.project_id and receivables.currency = figures.currency
    where figures.project_id is not null or receivables.retainage_amount <> 0 or receivables.open_amount <> 0

),

jobs as (

    select project_id, min(project_number) as project_number from link.erp_projects group by project_id

)

select
    coalesce(clock.pin, 'not pinned') as pin,
    clock.accounting_date,
    case
        when own.status is not null then own.status
        when firm.status in ('not_evaluated', 'not_applicable') then firm.status
        when balances.gap is not null then 'partial'
        else 'complete'
    end as status,
    coalesce(own.reason, case when firm.status in ('not_evaluated', 'not_applicable') then firm.reason end, balances.gap) as reason,
    coalesce(jobs.project_number, projects.number, balances.project_id) as project_number,
    balances.currency,
    balances.earned_revenue,
    balances.billed_to_date,
    balances.underbilled_amount,
    balances.overbilled_amount,
    cast(balances.retainage_amount as decimal(18,2)) as retainage_amount,
    cast(balances.open_amount as decimal(18,2)) as receivable_amount,
    -- Null where nothing was earned that could be known: greatest() would make a zero of it.
    cast(case when balances.net_amount is not null then greatest(balances.net_amount, 0) end as decimal(18,2)) as contract_asset,
    cast(case when balances.net_amount is not null then greatest(-balances.net_amount, 0) end as decimal(18,2)) as contract_liability,
    nullif(concat_ws(
        ', ',
        case when balances.overbilled_amount > 0 and balances.open_amount >= balances.overbilled_amount then 'overbilled, and not collected' end,
        case when balances.underbilled_amount > 0 and balances.retainage_amount < 0 then 'more retainage billed than was retained' end
    ), '') as flags
from ground as firm
cross join meta.clock
left join balances on true
left join ground as own on own.project_id = balances.project_id
left join jobs on jobs.project_id = balances.project_id
left join pm.projects on projects.record_id = balances.project_id
where firm.project_id is null
