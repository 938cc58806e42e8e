-- title:    What counts in which period: the population
-- question: Which documents, payments, cost and journal lines carry which date, and what does each count for?
-- grain:    one row per document, payment, cost line and journal line that counts: released, approved, paid
-- columns:
--   side               pm or erp
--   entity             vendor_invoices, owner_invoices, change_orders, payments, job_costs or gl_transactions
--   source             the connection
--   record_id          that side's record id
--   number             the number people use
--   project_id         that side's record id of the project
--   dated              the date that puts it in a period; null = not told
--   amount             what it counts for: invoices net and tax, payments as paid, change orders and cost as they are, journal lines debit less
--                      credit
--   retainage_amount   of invoices: retained, releases negative
--   currency           of the amount; null = not told
--   entered_at         when the source says that it was entered, UTC; null = not told
-- sources:  what audit.late_changes compares, and what a sample may be drawn from. It says nothing of what was not read: audit.readiness
--           (late_changes) does. Many rows, and the only schedule without a status.

select 'erp' as side, 'vendor_invoices' as entity, source, record_id, number, project_id, invoice_date as dated,
    cast(net_amount + coalesce(tax_amount, 0) as decimal(18,2)) as amount, coalesce(retainage_amount, 0) as retainage_amount, currency,
    created_at as entered_at
from erp.vendor_invoices
where approval_status in ('approved', 'closed')

union all

select 'erp' as side, 'owner_invoices' as entity, source, record_id, number, project_id, billing_date as dated,
    cast(net_amount + coalesce(tax_amount, 0) as decimal(18,2)) as amount, coalesce(retainage_amount, 0) as retainage_amount, currency,
    created_at as entered_at
from erp.owner_invoices
where approval_status in ('approved', 'closed')

union all

select 'erp' as side, 'payments' as entity, source, record_id, number, cast(null as varchar) as project_id, payment_date as dated, amount,
    cast(0 as decimal(18,2)) as retainage_amount, currency, created_at as entered_at
from erp.payments
where status = 'paid'

union all

select 'erp' as side, 'job_costs' as entity, source, record_id, document_id as number, project_id, cost_date as dated, amount,
    cast(0 as decimal(18,2)) as retainage_amount, currency, created_at as entered_at
from erp.job_costs

union all

select 'erp' as side, 'gl_transactions' as entity, source, record_id, coalesce(document_id, account) as number, project_id, date as dated,
    cast(coalesce(debit, 0) - coalesce(credit, 0) as decimal(18,2)) as amount, cast(0 as decimal(18,2)) as retainage_amount, currency,
    created_at as entered_at
from erp.gl_transactions

union all

select 'pm' as side, 'vendor_invoices' as entity, source, record_id, number, project_id, coalesce(period_end, invoice_date) as dated,
    cast(net_amount + coalesce(tax_amount, 0) as decimal(18,2)) as amount, coalesce(retainage_amount, 0) as retainage_amount, currency,
    created_at as entered_at
from pm.vendor_invoices
where approval_status in ('approved', 'closed')

union all

select 'pm' as side, 'owner_invoices' as entity, source, record_id, number, project_id, coalesce(period_end, billing_date) as dated,
    cast(net_amount + coalesce(tax_amount, 0) as decimal(18,2)) as amount, coalesce(retainage_amount, 0) as retainage_amount, currency,
    created_at as entered_at
from pm.owner_invoices
where approval_status in ('approved', 'closed')

union all

-- A change order is dated by its approval; where nobody tells that (`unknown` is no more than its last change), by its entry.
select 'pm' as side, 'change_orders' as entity, source, record_id, number, project_id,
    firm_day(case when approved_at_basis is distinct from 'unknown' then coalesce(approved_at, created_at) else created_at end) as dated, amount,
    cast(0 as decimal(18,2)) as retainage_amount, currency, created_at as entered_at
from pm.change_orders
where approval_status = 'approved'

union all

select 'erp' as side, 'change_orders' as entity, source, record_id, number, project_id,
    firm_day(case when approved_at_basis is distinct from 'unknown' then coalesce(approved_at, created_at) else created_at end) as dated, amount,
    cast(0 as decimal(18,2)) as retainage_amount, currency, created_at as entered_at
from erp.change_orders
where approval_status in ('approved', 'closed')
