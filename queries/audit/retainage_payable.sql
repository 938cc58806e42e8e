-- title:    Retainage payable, rolled forward over the fiscal year
-- question: What was retained from each vendor at the start of the year, what was withheld and released since, and does PM hold the same?
-- grain:    one row per connection, vendor, commitment, project and currency, and per commitment on which PM alone retains; one without a
--           vendor where nothing is retained
-- parameters: fiscal_year_start of [firm]
-- columns:
--   pin                the pin that is read, or `not pinned`
--   accounting_date    the date of the closing balance
--   status             complete, partial (the PM column only), not_evaluated or not_applicable: read it before the figures
--   reason             why it is not complete
--   standing           linked; only_in_erp (PM has no such commitment, or nobody linked it); only_in_pm (the reverse)
--   source             the ERP connection, where PM alone retains PM's: companies are not added up
--   vendor_id          the record id of the vendor there
--   vendor_name        its name
--   commitment_number  number of the subcontract or order, the ERP's, else PM's; null = none
--   project_number     the number people use
--   currency           of the amounts
--   opening_date       the day before the fiscal year
--   opening_amount     retained by the end of that day
--   withheld_amount    retained on bills dated since, less credits
--   released_amount    released by documents dated since, positive
--   closing_amount     opening + withheld − released
--   pm_amount          what PM retains on the commitment at the date, once per commitment; null where only the ERP has it
--   difference         PM less ERP of linked ones, once per commitment; a side that retains nothing counts as 0.00
-- sources:  retained amounts of the ERP's released bills by their dates; audit.control_tie_out holds the closing balance against the ledger. PM:
--           approved requisitions by their dates, without stored materials that the connector leaves out.

with ground as (

    select status, reason from link.audit_grounds where view_name = 'retainage_payable' and project_id is null

),

-- What lowers retainage and is no credit releases it, also where the ERP has no kind of document for that.
rolled as (

    select
        items.source, items.vendor_id, items.commitment_id, items.project_id, items.currency,
        sum(case when coalesce(items.dated <= years.opens_on, true) then items.retainage_amount else 0 end) as opening,
        sum(case when items.dated > years.opens_on and not (items.kind = 'retainage_release' or items.retainage_amount < 0 and items.kind <> 'credit')
            then items.retainage_amount else 0 end) as withheld,
        -sum(case when items.dated > years.opens_on and (items.kind = 'retainage_release' or items.retainage_amount < 0 and items.kind <> 'credit')
            then items.retainage_amount else 0 end) as released,
        row_number() over (partition by items.commitment_id, items.currency order by sum(items.retainage_amount) desc, items.source, items.project_id)
            as turn,
        sum(sum(items.retainage_amount)) over (partition by items.commitment_id, items.currency) as of_commitment
    from link.payable_items as items
    cross join link.fiscal_years as years
    where items.retainage_amount <> 0
    group by items.source, items.vendor_id, items.commitment_id, items.project_id, items.currency

),

links as (

    select pm_id, min(erp_id) as erp_id from link.commitments group by pm_id

),

-- Several commitments of PM may be one of the ERP.
pm_held as (

    select
        links.erp_id,
        case when links.erp_id is null then commitments.record_id end as unlinked_id,
        min(commitments.source) as source, min(commitments.vendor_id) as vendor_id, min(commitments.project_id) as project_id,
        min(commitments.number) as number,
        coalesce(invoices.currency, commitments.currency, setting_text('currency')) as currency,
        sum(invoices.retainage_amount - coalesce(unsynced.retainage_amount, 0)) as amount
    from pm.vendor_invoices as invoices
    inner join pm.commitments on commitments.record_id = invoices.commitment_id and commitments.source = invoices.source
    left join links on links.pm_id = invoices.commitment_id
    left join link.unsynced_materials as unsynced on unsynced.invoice_id = invoices.record_id
    cross join meta.clock
    where
        invoices.approval_status in ('approved', 'closed') and
        coalesce(coalesce(invoices.invoice_date, invoices.period_end) <= clock.accounting_date, true)
    group by
        links.erp_id, case when links.erp_id is null then commitments.record_id end,
        coalesce(invoices.currency, commitments.currency, setting_text('currency'))

),

linked_ids as (

    select distinct erp_id from links

),

-- Full: what one side alone retains is what the schedule is for.
both_sides as (

    select
        case when rolled.source is null and pm_held.erp_id is null then 'only_in_pm'
            when pm_held.erp_id is not null or linked_ids.erp_id is not null then 'linked'
            else 'only_in_erp' end as standing,
        rolled.source is null as is_pm_alone,
        coalesce(rolled.source, pm_held.source) as source,
        coalesce(rolled.vendor_id, pm_held.vendor_id) as vendor_id,
        rolled.commitment_id, pm_held.number,
        coalesce(rolled.project_id, pm_held.project_id) as project_id,
        coalesce(rolled.currency, pm_held.currency) as currency,
        coalesce(rolled.opening, 0) as opening, coalesce(rolled.withheld, 0) as withheld, coalesce(rolled.released, 0) as released,
        case when rolled.turn = 1 and linked_ids.erp_id is not null then coalesce(pm_held.amount, 0) else pm_held.amount end as pm_amount,
        coalesce(rolled.of_commitment, 0) as of_commitment
    from rolled
    full join pm_held on rolled.commitment_id = pm_held.erp_id and rolled.currency = pm_held.currency and rolled.turn = 1
    left join linked_ids on linked_ids.erp_id = rolled.commitment_id
    where rolled.source is not null or pm_held.amount <> 0

)

select
    coalesce(clock.pin, 'not pinned') as pin,
    clock.accounting_date,
    ground.status,
    ground.reason,
    held.standing,
    held.source,
    held.vendor_id,
    coalesce(vendors.name, pm_vendors.name) as vendor_name,
    coalesce(commitments.number, held.commitment_id, held.number) as commitment_number,
    coalesce(jobs.project_number, projects.number, held.project_id) as project_number,
    held.currency,
    case when held.currency is not null then years.opens_on end as opening_date,
    cast(held.opening as decimal(18,2)) as opening_amount,
    cast(held.withheld as decimal(18,2)) as withheld_amount,
    cast(held.released as decimal(18,2)) as released_amount,
    cast(held.opening + held.withheld - held.released as decimal(18,2)) as closing_amount,
    cast(held.pm_amount as decimal(18,2)) as pm_amount,
    cast(case when held.standing = 'linked' then held.pm_amount - held.of_commitment end as decimal(18,2)) as difference
from ground
cross join meta.clock
cross join link.fiscal_years as years
left join both_sides as held on true
left join erp.vendors on not held.is_pm_alone and vendors.record_id = held.vendor_id and vendors.source = held.source
left join pm.vendors as pm_vendors on held.is_pm_alone and pm_vendors.record_id = held.vendor_id and pm_vendors.source = held.source
left join erp.commitments on commitments.record_id = held.commitment_id and commitments.source = held.source
left join link.erp_projects as jobs on not held.is_pm_alone and jobs.erp_id = held.project_id and jobs.source = held.source
left join pm.projects on held.is_pm_alone and projects.record_id = held.project_id and projects.source = held.source
