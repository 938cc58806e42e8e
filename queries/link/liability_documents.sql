-- title:    Liabilities that may belong before the accounting date
-- question: What was paid, entered or billed after the date, or billed by subcontractors for work before it, and did the ERP owe it at the date?
-- grain:    one row per ERP bill dated or paid after the date, or held up, per PM requisition for work by the date
--           without a bill, and per payment after the date of which a part was applied to nothing
-- columns:
--   document           bill, requisition or payment
--   record_id          its record id, the ERP's or PM's
--   source             the connection
--   project_id         PM's record id of the project (of several that are one ERP project the first), else the ERP's
--   vendor_name        as that side calls the vendor
--   number             the number people use
--   document_date      its date
--   service_date       end of the work that it bills: the linked requisition's period, else its own; null = not told
--   posted_period      the ERP's fiscal period
--   amount             net, tax and retainage: the whole liability
--   paid_after_amount  paid after the date
--   first_paid_on      the first of these payments
--   currency           of the amounts
--   is_recorded        released, dated by the date and posted in a period that began by it; or a release of what was retained, which stood in
--                      retainage payable
--   is_agreed          false for a requisition that is still under review
-- Each liability stands once, whether it was found by its payment, its entry or its requisition.

with clock as (

    select accounting_date from meta.clock

),

paid_after as (

    select applications.source, applications.invoice_id, sum(applications.amount) as amount, min(payments.payment_date) as first_paid_on
    from erp.payment_applications as applications
    inner join erp.payments on payments.record_id = applications.payment_id and payments.source = applications.source
    cross join clock
    where payments.direction = 'disbursement' and payments.status = 'paid' and payments.payment_date > clock.accounting_date
    group by applications.source, applications.invoice_id

),

worked as (

    select links.erp_id, max(coalesce(invoices.period_end, invoices.invoice_date)) as service_date
    from link.vendor_invoices as links
    inner join pm.vendor_invoices as invoices on invoices.record_id = links.pm_id
    group by links.erp_id

),

-- A bill that was void again bills nothing.
billed as (

    select links.pm_id
    from link.vendor_invoices as links
    inner join erp.vendor_invoices as bills on bills.record_id = links.erp_id
    where coalesce(bills.approval_status, 'pending') not in ('void', 'rejected')

),

unapplied as (

    select source, payment_id, sum(amount) as amount
    from erp.payment_applications
    group by source, payment_id

)

select 'bill' as document, bills.record_id, bills.source, coalesce(jobs.project_id, bills.project_id) as project_id, vendors.name as vendor_name,
    bills.number, bills.invoice_date as document_date, coalesce(worked.service_date, bills.period_end) as service_date, bills.posted_period,
    cast(bills.net_amount + coalesce(bills.tax_amount, 0) + greatest(coalesce(bills.retainage_amount, 0), 0) as decimal(18,2)) as amount,
    cast(coalesce(paid_after.amount, 0) as decimal(18,2)) as paid_after_amount, paid_after.first_paid_on,
    coalesce(bills.currency, setting_text('currency')) as currency,
    coalesce(bills.kind = 'retainage_release', false) or
        bills.approval_status in ('approved', 'closed') and coalesce(bills.invoice_date <= clock.accounting_date, true) and
        coalesce(periods.starts_on <= clock.accounting_date, true) as is_recorded, true as is_agreed
from erp.vendor_invoices as bills
left join worked on worked.erp_id = bills.record_id
left join paid_after on paid_after.invoice_id = bills.record_id and paid_after.source = bills.source
left join (select source, period, min(starts_on) as starts_on from erp.fiscal_periods group by source, period) as periods on
    periods.period = bills.posted_period and periods.source = bills.source
left join erp.vendors on vendors.record_id = bills.vendor_id and vendors.source = bills.source
left join link.erp_projects as jobs on jobs.erp_id = bills.project_id and jobs.source = bills.source
cross join clock
where
    coalesce(bills.approval_status, 'pending') not in ('void', 'rejected') and coalesce(bills.kind, 'progress') not in ('credit', 'prepayment') and
    (
        bills.invoice_date > clock.accounting_date or periods.starts_on > clock.accounting_date or paid_after.invoice_id is not null or
        coalesce(bills.approval_status, 'pending') in ('draft', 'pending')
    )

union all

select 'requisition' as document, invoices.record_id, invoices.source, coalesce(joined.project_id, invoices.project_id) as project_id,
    vendors.name as vendor_name, invoices.number, invoices.invoice_date as document_date,
    coalesce(invoices.period_end, invoices.invoice_date) as service_date, cast(null as varchar) as posted_period,
    cast(invoices.net_amount + coalesce(invoices.tax_amount, 0) + greatest(coalesce(invoices.retainage_amount, 0), 0) as decimal(18,2)) as amount,
    cast(0 as decimal(18,2)) as paid_after_amount, cast(null as date) as first_paid_on,
    coalesce(invoices.currency, setting_text('currency')) as currency, false as is_recorded,
    invoices.approval_status in ('approved', 'closed') as is_agreed
from pm.vendor_invoices as invoices
left anti join billed on billed.pm_id = invoices.record_id
left join pm.vendors on vendors.record_id = invoices.vendor_id and vendors.source = invoices.source
left join shared.joined_projects as joined on joined.pm_id = invoices.project_id
cross join clock
where
    invoices.approval_status in ('approved', 'closed', 'pending') and (invoices.kind is distinct from 'retainage_release') and
    coalesce(invoices.period_end, invoices.invoice_date) <= clock.accounting_date

union all

select 'payment' as document, payments.record_id, payments.source, cast(null as varchar) as project_id, vendors.name as vendor_name,
    payments.number, payments.payment_date as document_date, cast(null as date) as service_date, cast(null as varchar) as posted_period,
    cast(payments.amount - coalesce(unapplied.amount, 0) as decimal(18,2)) as amount,
    cast(payments.amount - coalesce(unapplied.amount, 0) as decimal(18,2)) as paid_after_amount, payments.payment_date as first_paid_on,
    coalesce(payments.currency, setting_text('currency')) as currency, false as is_recorded, true as is_agreed
from erp.payments
left join unapplied on unapplied.payment_id = payments.record_id and unapplied.source = payments.source
left join erp.vendors on vendors.record_id = payments.vendor_id and vendors.source = payments.source
cross join clock
where
    payments.direction = 'disbursement' and payments.status = 'paid' and payments.payment_date > clock.accounting_date and
    payments.amount - coalesce(unapplied.amount, 0) > 0
