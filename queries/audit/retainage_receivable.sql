-- title:    Retainage receivable, rolled forward over the fiscal year
-- question: What did each owner retain at the start of the year, what was withheld and billed since, and does PM's last application say the same?
-- grain:    one row per connection, project and currency; one without a project where nothing is retained
-- parameters: fiscal_year_start of [firm]
-- columns:
--   pin                the pin that is read, or `not pinned`
--   accounting_date    the date of the closing balance
--   status             complete, partial (the PM column only), not_evaluated or not_applicable: read it before the figures
--   reason             why it is not complete
--   source             the ERP connection: companies are not added up
--   customer_id        the ERP's record id of the project's customer
--   customer_name      its name
--   project_number     the number people use
--   currency           of the amounts
--   opening_date       the day before the fiscal year
--   opening_amount     retained by the end of that day
--   withheld_amount    retained on invoices dated since, less memos
--   released_amount    billed by retainage releases dated since, positive
--   closing_amount     opening + withheld − released
--   pm_amount          G702 line 5 of the last approved application of each of the project's contracts by the date; null where there is none
--   difference         PM less ERP
-- sources:  retained amounts of the ERP's released owner invoices by their dates; audit.control_tie_out holds the closing balance against the
--           ledger. A connector that does not sync releases leaves PM at what was withheld.

with ground as (

    select status, reason from link.audit_grounds where view_name = 'retainage_receivable' and project_id is null

),

rolled as (

    select
        items.source, items.customer_id, items.project_id, items.currency, years.opens_on,
        sum(case when coalesce(items.dated <= years.opens_on, true) then items.retainage_amount else 0 end) as opening,
        sum(case when items.dated > years.opens_on and items.kind <> 'retainage_release' then items.retainage_amount else 0 end) as withheld,
        -sum(case when items.dated > years.opens_on and items.kind = 'retainage_release' then items.retainage_amount else 0 end) as released
    from link.receivable_items as items
    cross join link.fiscal_years as years
    where items.retainage_amount <> 0
    group by items.source, items.customer_id, items.project_id, items.currency, years.opens_on

),

applications as (

    select
        invoices.project_id,
        coalesce(invoices.currency, setting_text('currency')) as currency,
        invoices.total_retainage,
        row_number() over (
            partition by invoices.contract_id order by invoices.application_number desc, invoices.period_end desc nulls last, invoices.record_id
        ) as turn
    from pm.owner_invoices as invoices
    cross join meta.clock
    where
        invoices.approval_status in ('approved', 'closed') and
        coalesce(coalesce(invoices.billing_date, invoices.period_end) <= clock.accounting_date, true)

),

pm_held as (

    select coalesce(joined.project_id, applications.project_id) as project_id, currency, sum(total_retainage) as amount
    from applications
    left join shared.joined_projects as joined on joined.pm_id = applications.project_id
    where turn = 1
    group by coalesce(joined.project_id, applications.project_id), currency

)

select
    coalesce(clock.pin, 'not pinned') as pin,
    clock.accounting_date,
    ground.status,
    ground.reason,
    rolled.source,
    rolled.customer_id,
    customers.name as customer_name,
    coalesce(jobs.project_number, rolled.project_id) as project_number,
    rolled.currency,
    rolled.opens_on as opening_date,
    cast(rolled.opening as decimal(18,2)) as opening_amount,
    cast(rolled.withheld as decimal(18,2)) as withheld_amount,
    cast(rolled.released as decimal(18,2)) as released_amount,
    cast(rolled.opening + rolled.withheld - rolled.released as decimal(18,2)) as closing_amount,
    cast(pm_held.amount as decimal(18,2)) as pm_amount,
    cast(pm_held.amount - (rolled.opening + rolled.withheld - rolled.released) as decimal(18,2)) as difference
from ground
cross join meta.clock
left join rolled on true
left join erp.customers on customers.record_id = rolled.customer_id and customers.source = rolled.source
left join link.erp_projects as jobs on jobs.erp_id = rolled.project_id
left join pm_held on pm_held.project_id = jobs.project_id and pm_held.currency = rolled.currency
