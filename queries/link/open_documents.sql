-- title:    Documents of both sides that may be open, at the accounting date
-- question: What does each invoice and bill come to, and what was paid on it by then?
-- grain:    one row per approved document that both sides ought to have, dated by the accounting date or not at all
-- columns:
--   ledger             ap or ar
--   side               pm or erp
--   record_id          that side's record id
--   item_id            what it is compared in: PM's record id of the group, else its own
--   is_linked          whether the other side has a counterpart
--   project_id         PM's record id of the project
--   party_id           PM's record id of the vendor; null for owner invoices
--   due_date           as the side tells it
--   dated              the document's date
--   gross_amount       of this period; null where it is not told
--   tax_amount         tax; null where it is not told
--   payable_amount     net and the tax that both sides share, without stored materials that the connector leaves out; an amount
--                      that is not told is no money
--   paid_amount        paid by the accounting date
--   retained_amount    retained on it
--   currency           of the amounts
--   moved_at           when the side approved, else entered it, UTC
--   paid_at            the side's last payment, UTC
--   payment_unit       what PM's payments on it are compared in (vendor_invoice_settlements)

with dated_after as (

    select applications.invoice_id, 'pm' as side, sum(applications.amount) as amount
    from pm.payment_applications as applications
    inner join pm.payments on payments.record_id = applications.payment_id
    cross join meta.clock
    where payments.payment_date > clock.accounting_date and coalesce(payments.status, 'paid') = 'paid'
    group by applications.invoice_id

    union all

    select applications.invoice_id, 'erp' as side, sum(applications.amount) as amount
    from erp.payment_applications as applications
    inner join erp.payments on payments.record_id = applications.payment_id
    cross join meta.clock
    where payments.payment_date > clock.accounting_date
    group by applications.invoice_id

),

groups as (

    select 'ap' as ledger, group_id, pm_id, erp_id from link.vendor_invoices
    union all
    select 'ar' as ledger, group_id, pm_id, erp_id from link.owner_invoices

),

pm_groups as (

    select ledger, pm_id, min(group_id) as group_id from groups group by ledger, pm_id

),

erp_groups as (

    select ledger, erp_id, min(group_id) as group_id from groups group by ledger, erp_id

),

connector as (

    select setting_text('connector_profile') <> 'procore-acumatica-edge' as shares_tax

),

-- Payments that name no invoice are compared by commitment, and so are the invoices of that commitment. Procore Edge for Acumatica
-- never sends a release of retainage, and no tax: what the ERP adds is nothing that PM could owe.
pm_documents as (

    select 'ap' as ledger, invoices.record_id, invoices.project_id, invoices.vendor_id as party_id, invoices.due_date,
        coalesce(invoices.invoice_date, invoices.period_end, firm_day(invoices.approved_at)) as dated,
        invoices.gross_amount, invoices.tax_amount,
        invoices.net_amount + case when shares_tax then coalesce(invoices.tax_amount, 0) else 0 end - coalesce(materials.net_amount, 0) as payable,
        settlements.paid_amount + settlements.allocated_amount + settlements.released_amount as paid,
        invoices.retainage_amount - coalesce(materials.retainage_amount, 0) as retainage_amount, invoices.currency,
        coalesce(invoices.approved_at, invoices.updated_at, invoices.created_at) as moved_at, invoices.paid_at,
        settlements.unit_id as payment_unit
    from pm.vendor_invoices as invoices
    cross join connector
    inner join link.vendor_invoice_settlements as settlements on settlements.pm_id = invoices.record_id
    left join (select distinct pm_id from link.vendor_invoices) as linked on linked.pm_id = invoices.record_id
    left join link.unsynced_materials as materials on materials.invoice_id = invoices.record_id
    where
        invoices.approval_status in ('approved', 'closed') and
        (
            linked.pm_id is not null or coalesce(invoices.kind, 'progress') <> 'retainage_release' or
            setting_text('connector_profile') <> 'procore-acumatica-edge'
        )

    union all

    select 'ar' as ledger, record_id, project_id, cast(null as varchar) as party_id, due_date,
        coalesce(billing_date, period_end, firm_day(approved_at)) as dated, gross_amount, tax_amount,
        net_amount + case when shares_tax then coalesce(tax_amount, 0) else 0 end as payable, coalesce(paid_amount, 0) as paid, retainage_amount, currency,
        coalesce(approved_at, updated_at, created_at) as moved_at, cast(null as timestamp with time zone) as paid_at,
        cast(null as varchar) as payment_unit
    from pm.owner_invoices
    cross join connector
    where approval_status in ('approved', 'closed')

),

commitments as (

    select links.erp_id, min(orders.project_id) as project_id
    from link.commitments as links
    inner join pm.commitments as orders on orders.record_id = links.pm_id
    group by links.erp_id

),

jobs as (

    select erp_id, pm_id from link.erp_projects where pm_id is not null

),

-- Bills outside synced commitments are the ERP's own. One whose lines name several projects stands in its commitment's. A release that
-- only the ERP bills moves money from retained to due there alone: PM cannot follow, and nothing is wrong.
erp_documents as (

    select 'ap' as ledger, bills.record_id, coalesce(jobs.pm_id, commitments.project_id) as project_id, bills.vendor_id as party_id, bills.due_date,
        bills.invoice_date as dated, bills.gross_amount, bills.tax_amount, bills.net_amount + case when shares_tax then coalesce(bills.tax_amount, 0) else 0 end as payable,
        coalesce(bills.paid_amount, 0) as paid, bills.retainage_amount, bills.currency,
        coalesce(bills.created_at, end_of_day(bills.invoice_date)) as moved_at, bills.paid_at
    from erp.vendor_invoices as bills
    cross join connector
    left join jobs on jobs.erp_id = bills.project_id
    left join commitments on commitments.erp_id = bills.commitment_id
    left join (select distinct erp_id from link.vendor_invoices) as linked on linked.erp_id = bills.record_id
    where
        bills.approval_status in ('approved', 'closed') and
        (linked.erp_id is not null or commitments.erp_id is not null and coalesce(bills.kind, 'progress') <> 'retainage_release')

    union all

    select 'ar' as ledger, invoices.record_id, jobs.pm_id as project_id, cast(null as varchar) as party_id, invoices.due_date,
        invoices.billing_date as dated, invoices.gross_amount, invoices.tax_amount,
        invoices.net_amount + case when shares_tax then coalesce(invoices.tax_amount, 0) else 0 end as payable, coalesce(invoices.paid_amount, 0) as paid, invoices.retainage_amount,
        invoices.currency, coalesce(invoices.created_at, end_of_day(invoices.billing_date)) as moved_at,
        cast(null as timestamp with time zone) as paid_at
    from erp.owner_invoices as invoices
    cross join connector
    left join jobs on jobs.erp_id = invoices.project_id
    left join (select distinct erp_id from link.owner_invoices) as linked on linked.erp_id = invoices.record_id
    where
        invoices.approval_status in ('approved', 'closed') and
        (linked.erp_id is not null or jobs.pm_id is not null and coalesce(invoices.kind, 'progress') <> 'retainage_release')

),

vendors as (

    select erp_id, min(pm_id) as pm_id from link.vendors group by erp_id

),

documents as (

    select pm_documents.*, 'pm' as side, coalesce(pm_groups.group_id, pm_documents.record_id) as item_id,
        pm_groups.group_id is not null as is_linked
    from pm_documents
    left join pm_groups on pm_groups.ledger = pm_documents.ledger and pm_groups.pm_id = pm_documents.record_id

    union all

    select erp_documents.ledger, erp_documents.record_id, erp_documents.project_id, vendors.pm_id as party_id, erp_documents.due_date,
        erp_documents.dated, erp_documents.gross_amount, erp_documents.tax_amount, erp_documents.payable, erp_documents.paid,
        erp_documents.retainage_amount, erp_documents.currency, erp_documents.moved_at, erp_documents.paid_at,
        cast(null as varchar) as payment_unit, 'erp' as side, coalesce(erp_groups.group_id, erp_documents.record_id) as item_id,
        erp_groups.group_id is not null as is_linked
    from erp_documents
    left join erp_groups on erp_groups.ledger = erp_documents.ledger and erp_groups.erp_id = erp_documents.record_id
    left join vendors on vendors.erp_id = erp_documents.party_id

)

select
    documents.ledger,
    documents.side,
    documents.record_id,
    documents.item_id,
    documents.is_linked,
    documents.project_id,
    documents.party_id,
    documents.due_date,
    documents.dated,
    documents.gross_amount,
    documents.tax_amount,
    coalesce(documents.payable, 0) as payable_amount,
    documents.paid - coalesce(dated_after.amount, 0) as paid_amount,
    coalesce(documents.retainage_amount, 0) as retained_amount,
    documents.currency,
    documents.moved_at,
    documents.paid_at,
    documents.payment_unit
from documents
left join dated_after on dated_after.side = documents.side and dated_after.invoice_id = documents.record_id
cross join meta.clock
where documents.dated is null or documents.dated <= clock.accounting_date
