-- title:    Payments of both sides, by what can be compared
-- question: How much has each side paid, invoice by invoice, or by commitment where PM payments name no invoice?
-- grain:    one row per linked group or unlinked PM invoice; one per commitment whose payments name no invoice
-- columns:
--   unit_id            commitment:<record id>, or the group's (else the invoice's) record id
--   pm_id              one of the unit's PM invoices
--   erp_id             one of its ERP bills
--   project_id         PM's record id of the project
--   label              number people use
--   vendor_id          PM's record id of the vendor
--   commitment_id      PM's record id of the commitment
--   invoice_count      PM invoices in it
--   pm_paid_amount     paid in PM
--   voided_amount      of this, by payments that the ERP voided since (P3)
--   erp_paid_amount    paid in the ERP by released, unvoided payments; of releases that only the ERP bills as much as PM shows
--   unreflected_amount of this, on invoices that PM shows no payment on (P1)
--   erp_document_count bills in the ERP
--   pm_paid_at         PM's last payment, UTC
--   erp_paid_at        the ERP's last payment
--   currency_differs   an ERP bill of the unit is in another currency
--   currency           of PM's amounts

-- A group's ERP money once, however many PM invoices it has.
with settled as (

    select
        settlements.*,
        vendor_invoices.project_id, vendor_invoices.number, vendor_invoices.vendor_id, vendor_invoices.commitment_id,
        vendor_invoices.paid_at, vendor_invoices.currency,
        row_number() over (partition by coalesce(settlements.group_id, settlements.pm_id) order by settlements.pm_id) as turn
    from link.vendor_invoice_settlements as settlements
    inner join pm.vendor_invoices on vendor_invoices.record_id = settlements.pm_id

),

voided as (

    select invoice_id, sum(amount) as amount from link.voided_payments where invoice_id is not null group by invoice_id

),

-- A void that names no invoice counts against its vendor's commitments that are compared as a whole.
voided_at_large as (

    select vendor_id, sum(amount) as amount from link.voided_payments where invoice_id is null group by vendor_id

),

bills as (

    select pm_id, min(erp_id) as erp_id from link.vendor_invoices group by pm_id

),

unreflected as (

    select unit_id, sum(erp_paid_amount) as amount from link.unreflected_payments group by unit_id

),

-- A release of retainage that only the ERP bills is paid on the commitment too, and PM may know it.
releases as (

    select commitment_links.pm_id as commitment_id, sum(coalesce(bills.paid_amount, 0)) as amount
    from erp.vendor_invoices as bills
    inner join link.commitments as commitment_links on commitment_links.erp_id = bills.commitment_id
    left anti join link.vendor_invoices as links on links.erp_id = bills.record_id
    where bills.kind = 'retainage_release' and bills.approval_status in ('approved', 'closed')
    group by commitment_links.pm_id

),

units as (

    select
        settled.unit_id,
        min(settled.pm_id) as pm_id,
        min(bills.erp_id) as erp_id,
        min(settled.project_id) as project_id,
        min(settled.number) as label,
        min(settled.vendor_id) as vendor_id,
        min(settled.commitment_id) as commitment_id,
        count(*) as invoice_count,
        sum(settled.paid_amount + settled.allocated_amount) as pm_paid_amount,
        sum(coalesce(voided.amount, 0)) as voided_on_invoices,
        sum(case when settled.turn = 1 then coalesce(settled.erp_paid_amount, 0) else 0 end) as erp_paid_amount,
        sum(case when settled.turn = 1 then settled.erp_document_count else 0 end) as erp_document_count,
        max(settled.paid_at) as pm_paid_at,
        max(settled.erp_paid_at) as erp_paid_at,
        bool_or(settled.currency_differs) as currency_differs,
        min(settled.currency) as currency
    from settled
    left join voided on voided.invoice_id = settled.pm_id
    left join bills on bills.pm_id = settled.pm_id
    group by settled.unit_id

),

totals as (

    select
        units.*,
        units.voided_on_invoices + case when units.unit_id like 'commitment:%' then coalesce(voided_at_large.amount, 0) else 0 end as voided_amount,
        case when units.unit_id like 'commitment:%' then coalesce(releases.amount, 0) else 0 end as released_amount,
        coalesce(unreflected.amount, 0) as unreflected_amount
    from units
    left join unreflected on unreflected.unit_id = units.unit_id
    left join voided_at_large on voided_at_large.vendor_id = units.vendor_id
    left join releases on releases.commitment_id = units.commitment_id

)

select
    totals.unit_id, totals.pm_id, totals.erp_id,
    totals.project_id, totals.label, totals.vendor_id, totals.commitment_id, totals.invoice_count,
    cast(totals.pm_paid_amount as decimal(18,2)) as pm_paid_amount,
    cast(totals.voided_amount as decimal(18,2)) as voided_amount,
    cast(
        totals.erp_paid_amount + greatest(least(totals.released_amount, totals.pm_paid_amount - totals.voided_amount - totals.erp_paid_amount), 0)
        as decimal(18,2)
    ) as erp_paid_amount,
    cast(totals.unreflected_amount as decimal(18,2)) as unreflected_amount,
    totals.erp_document_count,
    totals.pm_paid_at,
    totals.erp_paid_at,
    totals.currency_differs,
    totals.currency
from totals
