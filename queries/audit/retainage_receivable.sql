-- title:    Retainage receivable, rolled forward over the fiscal year
-- question: What did each owner retain at the start of the year, what was withheld and billed since, and does PM's last application say the same?
-- grain:    one row per connection, project and currency, and per project on which PM alone shows retainage; one without a project where nothing
--           is retained
-- parameters: fiscal_year_start of [firm]
-- columns:
--   pin                the pin that is read, or `not pinned`
--   accounting_date    the date of the closing balance
--   status             complete, partial (the PM column only), not_evaluated or not_applicable: read it before the figures
--   reason             why it is not complete
--   source             the ERP connection, where PM alone shows it PM's: companies are not added up
--   customer_id        the ERP's record id of the project's customer
--   customer_name      its name
--   project_number     the number people use
--   currency           of the amounts
--   opening_date       the day before the fiscal year
--   opening_amount     retained by the end of that day
--   withheld_amount    retained on invoices dated since, less memos
--   released_amount    billed by retainage releases dated since, positive
--   closing_amount     opening + withheld − released
--   pm_amount          G702 line 5 of the last approved application of each of the project's contracts by the date, once per project; null where
--                      there is none
--   difference         PM less ERP, once per project; an ERP that retains nothing counts as 0.00
-- sources:  retained amounts of the ERP's released owner invoices by their dates; audit.control_tie_out holds the closing balance against the
--           ledger. A connector that does not sync releases leaves PM at what was withheld.

with ground as (

    select status, reason from link.audit_grounds where view_name = 'retainage_receivable' and project_id is null

),

-- What lowers retainage and is no memo bills it, also where the ERP has no kind of document for that.
rolled as (

    select
        items.source, items.customer_id, coalesce(jobs.project_id, items.project_id) as project_id, items.currency,
        coalesce(jobs.project_number, items.project_id) as project_number,
        sum(case when coalesce(items.dated <= years.opens_on, true) then items.retainage_amount else 0 end) as opening,
        sum(case when items.dated > years.opens_on and not (items.kind = 'retainage_release' or items.retainage_amount < 0 and items.kind <> 'credit')
            then items.retainage_amount else 0 end) as withheld,
        -sum(case when items.dated > years.opens_on and (items.kind = 'retainage_release' or items.retainage_amount < 0 and items.kind <> 'credit')
            then items.retainage_amount else 0 end) as released,
        row_number() over (
            partition by coalesce(jobs.project_id, items.project_id), items.currency
            order by sum(items.retainage_amount) desc, items.source, items.customer_id
        ) as turn,
        sum(sum(items.retainage_amount)) over (partition by coalesce(jobs.project_id, items.project_id), items.currency) as of_project
    from link.receivable_items as items
    left join link.erp_projects as jobs on jobs.erp_id = items.project_id and jobs.source = items.source
    cross join link.fiscal_years as years
    where items.retainage_amount <> 0
    group by
        items.source, items.customer_id, coalesce(jobs.project_id, items.project_id), coalesce(jobs.project_number, items.project_id), items.currency

),

applications as (

    select
        invoices.source,
        coalesce(joined.project_id, invoices.project_id) as project_id,
        coalesce(invoices.currency, setting_text('currency')) as currency,
        invoices.total_retainage,
        row_number() over (
            partition by invoices.source, invoices.contract_id
            order by invoices.application_number desc nulls last, invoices.period_end desc nulls last, invoices.record_id
        ) as turn
    from pm.owner_invoices as invoices
    left join shared.joined_projects as joined on joined.pm_id = invoices.project_id
    cross join meta.clock
    where
        invoices.approval_status in ('approved', 'closed') and
        coalesce(coalesce(invoices.billing_date, invoices.period_end) <= clock.accounting_date, true)

),

pm_held as (

    select min(source) as source, project_id, currency, sum(total_retainage) as amount
    from applications
    where turn = 1
    group by project_id, currency

),

-- Full: what one side alone shows is what the schedule is for.
both_sides as (

    select
        coalesce(rolled.source, pm_held.source) as source,
        rolled.customer_id,
        coalesce(rolled.project_id, pm_held.project_id) as project_id,
        rolled.project_number,
        coalesce(rolled.currency, pm_held.currency) as currency,
        coalesce(rolled.opening, 0) as opening, coalesce(rolled.withheld, 0) as withheld, coalesce(rolled.released, 0) as released,
        pm_held.amount as pm_amount,
        coalesce(rolled.of_project, 0) as of_project
    from rolled
    full join pm_held on pm_held.project_id = rolled.project_id and pm_held.currency = rolled.currency and rolled.turn = 1
    where rolled.source is not null or pm_held.amount <> 0

)

select
    coalesce(clock.pin, 'not pinned') as pin,
    clock.accounting_date,
    ground.status,
    ground.reason,
    held.source,
    held.customer_id,
    customers.name as customer_name,
    coalesce(held.project_number, projects.number, held.project_id) as project_number,
    held.currency,
    case when held.currency is not null then years.opens_on end as opening_date,
    cast(held.opening as decimal(18,2)) as opening_amount,
    cast(held.withheld as decimal(18,2)) as withheld_amount,
    cast(held.released as decimal(18,2)) as released_amount,
    cast(held.opening + held.withheld - held.released as decimal(18,2)) as closing_amount,
    cast(held.pm_amount as decimal(18,2)) as pm_amount,
    cast(held.pm_amount - held.of_project as decimal(18,2)) as difference
from ground
cross join meta.clock
cross join link.fiscal_years as years
left join both_sides as held on true
left join erp.customers on customers.record_id = held.customer_id and customers.source = held.source
left join pm.projects on projects.record_id = held.project_id
