-- title:    Open receivables and payables of both sides, item by item
-- question: What is open on each linked document, on each side, at the accounting date?
-- grain:    one row per linked group, and per unlinked document that the other side ought to have
-- columns:
--   ledger             ap or ar
--   item_id            PM's record id of the group, else the document's record id
--   project_id         PM's record id of the project
--   party_id           PM's record id of the vendor; null for owner invoices
--   due_date           the ERP's for linked documents, else PM's own, else its date and the default terms
--   pm_open            net and tax less what PM shows as paid
--   erp_open           net and tax less what the ERP has paid
--   pm_retainage       retained in PM, releases taken off
--   erp_retainage      retained in the ERP
--   explained_by       the exception that a difference follows from
--   currency           of the amounts

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

pm_documents as (

    select 'ap' as ledger, invoices.record_id, invoices.project_id, invoices.vendor_id as party_id, invoices.due_date,
        coalesce(invoices.invoice_date, invoices.period_end, cast(invoices.approved_at as date)) as dated,
        invoices.net_amount + coalesce(invoices.tax_amount, 0) as payable,
        settlements.paid_amount + settlements.allocated_amount as paid,
        invoices.retainage_amount, invoices.currency
    from pm.vendor_invoices as invoices
    inner join link.vendor_invoice_settlements as settlements on settlements.pm_id = invoices.record_id
    where invoices.approval_status in ('approved', 'closed')

    union all

    select 'ar' as ledger, record_id, project_id, cast(null as varchar) as party_id, due_date,
        coalesce(billing_date, period_end, cast(approved_at as date)) as dated,
        net_amount + coalesce(tax_amount, 0) as payable, coalesce(paid_amount, 0) as paid, retainage_amount, currency
    from pm.owner_invoices
    where approval_status in ('approved', 'closed')

),

-- Bills outside synced commitments are the ERP's own.
erp_documents as (

    select 'ap' as ledger, bills.record_id, bills.project_id, bills.vendor_id as party_id, bills.due_date, bills.invoice_date as dated,
        bills.net_amount + coalesce(bills.tax_amount, 0) as payable, coalesce(bills.paid_amount, 0) as paid, bills.retainage_amount,
        bills.currency
    from erp.vendor_invoices as bills
    left join (select distinct erp_id from link.commitments) as commitments on commitments.erp_id = bills.commitment_id
    left join (select distinct erp_id from link.vendor_invoices) as linked on linked.erp_id = bills.record_id
    where bills.approval_status in ('approved', 'closed') and (commitments.erp_id is not null or linked.erp_id is not null)

    union all

    -- A release that only the ERP bills moves money from retained to due there alone: PM cannot follow, and nothing is wrong.
    select 'ar' as ledger, invoices.record_id, invoices.project_id, cast(null as varchar) as party_id, invoices.due_date,
        invoices.billing_date as dated, invoices.net_amount + coalesce(invoices.tax_amount, 0) as payable,
        coalesce(invoices.paid_amount, 0) as paid, invoices.retainage_amount, invoices.currency
    from erp.owner_invoices as invoices
    left join (select distinct erp_id from link.owner_invoices) as linked on linked.erp_id = invoices.record_id
    where
        invoices.approval_status in ('approved', 'closed') and
        (coalesce(invoices.kind, 'progress') <> 'retainage_release' or linked.erp_id is not null)

),

vendors as (

    select erp_id, min(pm_id) as pm_id from link.vendors group by erp_id

),

documents as (

    select pm_documents.ledger, 'pm' as side, coalesce(pm_groups.group_id, pm_documents.record_id) as item_id,
        pm_groups.group_id is not null as is_linked, pm_documents.record_id, pm_documents.project_id, pm_documents.party_id,
        pm_documents.due_date, pm_documents.dated, pm_documents.payable,
        pm_documents.paid - coalesce(dated_after.amount, 0) as paid, pm_documents.retainage_amount, pm_documents.currency
    from pm_documents
    left join pm_groups on pm_groups.ledger = pm_documents.ledger and pm_groups.pm_id = pm_documents.record_id
    left join dated_after on dated_after.side = 'pm' and dated_after.invoice_id = pm_documents.record_id
    cross join meta.clock
    where pm_documents.dated <= clock.accounting_date

    union all

    select erp_documents.ledger, 'erp' as side, coalesce(erp_groups.group_id, erp_documents.record_id) as item_id,
        erp_groups.group_id is not null as is_linked, erp_documents.record_id, projects.pm_id as project_id, vendors.pm_id as party_id,
        erp_documents.due_date, erp_documents.dated, erp_documents.payable,
        erp_documents.paid - coalesce(dated_after.amount, 0) as paid, erp_documents.retainage_amount, erp_documents.currency
    from erp_documents
    inner join link.erp_projects as projects on projects.erp_id = erp_documents.project_id and projects.pm_id is not null
    left join erp_groups on erp_groups.ledger = erp_documents.ledger and erp_groups.erp_id = erp_documents.record_id
    left join vendors on vendors.erp_id = erp_documents.party_id
    left join dated_after on dated_after.side = 'erp' and dated_after.invoice_id = erp_documents.record_id
    cross join meta.clock
    where erp_documents.dated <= clock.accounting_date

),

items as (

    select
        ledger,
        item_id,
        min(project_id) as project_id,
        coalesce(min(case when side = 'pm' then party_id end), min(party_id)) as party_id,
        coalesce(min(case when side = 'erp' then due_date end), min(due_date)) as due_date,
        min(dated) as dated,
        count(case when side = 'pm' then 1 end) as pm_count,
        count(case when side = 'erp' then 1 end) as erp_count,
        sum(case when side = 'pm' then payable else 0 end) as pm_payable,
        sum(case when side = 'erp' then payable else 0 end) as erp_payable,
        sum(case when side = 'pm' then paid else 0 end) as pm_paid,
        sum(case when side = 'erp' then paid else 0 end) as erp_paid,
        sum(case when side = 'pm' then coalesce(retainage_amount, 0) else 0 end) as pm_retainage,
        sum(case when side = 'erp' then coalesce(retainage_amount, 0) else 0 end) as erp_retainage,
        min(currency) as currency
    from documents
    group by ledger, item_id

)

select
    items.ledger,
    items.item_id,
    items.project_id,
    items.party_id,
    coalesce(items.due_date, cast(cast(items.dated as int) + setting_integer('default_terms_days') as date)) as due_date,
    cast(items.pm_payable - items.pm_paid as decimal(18,2)) as pm_open,
    cast(items.erp_payable - items.erp_paid as decimal(18,2)) as erp_open,
    cast(items.pm_retainage as decimal(18,2)) as pm_retainage,
    cast(items.erp_retainage as decimal(18,2)) as erp_retainage,
    case
        when items.erp_count = 0 then case items.ledger when 'ap' then 'I2:' else 'I1:' end || items.item_id
        when items.pm_count = 0 then case items.ledger when 'ap' then 'I11:' else 'I10:' end || items.item_id
        when abs(items.pm_payable - items.erp_payable) > setting_decimal('amount_tolerance')
            then case items.ledger when 'ap' then 'I4:' else 'I3:' end || items.item_id || ':gross'
        when items.ledger = 'ap' and items.erp_paid > items.pm_paid then 'P1:' || items.item_id
        when items.ledger = 'ap' and items.erp_paid > 0 then 'P2:' || items.item_id
        when items.ledger = 'ap' then 'P4:' || items.item_id
    end as explained_by,
    items.currency
from items
