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

vendors as (

    select erp_id, min(pm_id) as pm_id from link.vendors group by erp_id

),

-- A PM connection without retainage bills in full: what is 1,000.00 there is 900.00 and 100.00 retained in the ERP, and due in full on both
-- sides here (I3, I4).
tracking as (

    select 'ap' as ledger, coalesce(source, '') as source from pm.vendor_invoices where retainage_amount is not null
    union
    select 'ar' as ledger, coalesce(source, '') as source from pm.owner_invoices where retainage_amount is not null

),

in_full as (

    select distinct groups.ledger, groups.group_id
    from groups
    inner join (
        select 'ap' as ledger, record_id, coalesce(source, '') as source from pm.vendor_invoices
        union all
        select 'ar' as ledger, record_id, coalesce(source, '') as source from pm.owner_invoices
    ) as invoices on invoices.ledger = groups.ledger and invoices.record_id = groups.pm_id
    left anti join tracking on tracking.ledger = groups.ledger and tracking.source = invoices.source

),

documents as (

    select documents.*, 'pm' as side, coalesce(pm_groups.group_id, documents.record_id) as item_id,
        pm_groups.group_id is not null as is_linked
    from link.pm_open_documents as documents
    left join pm_groups on pm_groups.ledger = documents.ledger and pm_groups.pm_id = documents.record_id

    union all

    select documents.ledger, documents.record_id, documents.project_id, vendors.pm_id as party_id, documents.due_date,
        documents.dated, documents.gross_amount, documents.tax_amount, documents.payable, documents.paid,
        documents.retainage_amount, documents.currency, documents.moved_at, documents.paid_at,
        cast(null as varchar) as payment_unit, 'erp' as side, coalesce(erp_groups.group_id, documents.record_id) as item_id,
        erp_groups.group_id is not null as is_linked
    from link.erp_open_documents as documents
    left join erp_groups on erp_groups.ledger = documents.ledger and erp_groups.erp_id = documents.record_id
    left join vendors on vendors.erp_id = documents.party_id

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
    coalesce(documents.payable, 0) + case when in_full.group_id is not null then coalesce(documents.retainage_amount, 0) else 0 end as payable_amount,
    documents.paid - coalesce(dated_after.amount, 0) as paid_amount,
    case when in_full.group_id is null then coalesce(documents.retainage_amount, 0) else 0 end as retained_amount,
    documents.currency,
    documents.moved_at,
    documents.paid_at,
    documents.payment_unit
from documents
left join in_full on in_full.ledger = documents.ledger and in_full.group_id = documents.item_id
left join dated_after on dated_after.side = documents.side and dated_after.invoice_id = documents.record_id
cross join meta.clock
where documents.dated is null or documents.dated <= clock.accounting_date
