-- title:    Retainage payable, rolled forward over the fiscal year
-- question: What was retained from each vendor at the start of the year, what was withheld and released since, and does PM hold the same?
-- grain:    one row per connection, vendor, commitment, project and currency; one without a vendor where nothing is retained
-- parameters: fiscal_year_start of [firm]
-- columns:
--   pin                the pin that is read, or `not pinned`
--   accounting_date    the date of the closing balance
--   status             complete, partial (the PM column only), not_evaluated or not_applicable: read it before the figures
--   reason             why it is not complete
--   source             the ERP connection: companies are not added up
--   vendor_id          the ERP's record id of the vendor
--   vendor_name        its name
--   commitment_number  number of the subcontract or order; null = none
--   project_number     the number people use
--   currency           of the amounts
--   opening_date       the day before the fiscal year
--   opening_amount     retained by the end of that day
--   withheld_amount    retained on bills dated since, less credits
--   released_amount    released by documents dated since, positive
--   closing_amount     opening + withheld − released
--   pm_amount          what PM retains on the linked commitment at the date; null where it is not linked
--   difference         PM less ERP, once per commitment
-- sources:  retained amounts of the ERP's released bills by their dates; audit.control_tie_out holds the closing balance against the ledger. PM:
--           approved requisitions by their dates, without stored materials that the connector leaves out.

with ground as (

    select status, reason from link.audit_grounds where view_name = 'retainage_payable' and project_id is null

),

rolled as (

    select
        items.source, items.vendor_id, items.commitment_id, items.project_id, items.currency, years.opens_on,
        sum(case when coalesce(items.dated <= years.opens_on, true) then items.retainage_amount else 0 end) as opening,
        sum(case when items.dated > years.opens_on and items.kind <> 'retainage_release' then items.retainage_amount else 0 end) as withheld,
        -sum(case when items.dated > years.opens_on and items.kind = 'retainage_release' then items.retainage_amount else 0 end) as released,
        row_number() over (partition by items.commitment_id order by sum(items.retainage_amount) desc, items.currency) as turn,
        sum(sum(items.retainage_amount)) over (partition by items.commitment_id, items.currency) as of_commitment
    from link.payable_items as items
    cross join link.fiscal_years as years
    where items.retainage_amount <> 0
    group by items.source, items.vendor_id, items.commitment_id, items.project_id, items.currency, years.opens_on

),

pm_held as (

    select commitments.erp_id, sum(invoices.retainage_amount - coalesce(unsynced.retainage_amount, 0)) as amount,
        coalesce(invoices.currency, setting_text('currency')) as currency
    from (select pm_id, min(erp_id) as erp_id from link.commitments group by pm_id) as commitments
    inner join pm.vendor_invoices as invoices on invoices.commitment_id = commitments.pm_id and invoices.approval_status in ('approved', 'closed')
    left join link.unsynced_materials as unsynced on unsynced.invoice_id = invoices.record_id
    cross join meta.clock
    where coalesce(coalesce(invoices.invoice_date, invoices.period_end) <= clock.accounting_date, true)
    group by commitments.erp_id, coalesce(invoices.currency, setting_text('currency'))

)

select
    coalesce(clock.pin, 'not pinned') as pin,
    clock.accounting_date,
    ground.status,
    ground.reason,
    rolled.source,
    rolled.vendor_id,
    vendors.name as vendor_name,
    coalesce(commitments.number, rolled.commitment_id) as commitment_number,
    coalesce(jobs.project_number, rolled.project_id) as project_number,
    rolled.currency,
    rolled.opens_on as opening_date,
    cast(rolled.opening as decimal(18,2)) as opening_amount,
    cast(rolled.withheld as decimal(18,2)) as withheld_amount,
    cast(rolled.released as decimal(18,2)) as released_amount,
    cast(rolled.opening + rolled.withheld - rolled.released as decimal(18,2)) as closing_amount,
    cast(case when rolled.turn = 1 then pm_held.amount end as decimal(18,2)) as pm_amount,
    cast(case when rolled.turn = 1 then pm_held.amount - rolled.of_commitment end as decimal(18,2)) as difference
from ground
cross join meta.clock
left join rolled on true
left join erp.vendors on vendors.record_id = rolled.vendor_id and vendors.source = rolled.source
left join erp.commitments on commitments.record_id = rolled.commitment_id and commitments.source = rolled.source
left join link.erp_projects as jobs on jobs.erp_id = rolled.project_id
left join pm_held on pm_held.erp_id = rolled.commitment_id and pm_held.currency = rolled.currency
