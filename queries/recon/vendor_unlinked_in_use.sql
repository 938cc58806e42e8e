-- title:    Documents whose vendor has no counterpart
-- check:    V5
-- entity:   vendors
-- scope:    project
-- record_owner: erp
-- fix_side: pm
-- version:  1
-- risk:     the document's amount: what a commitment comes to with its changes, an invoice's net, a payment
-- question: Which commitments, invoices and payments cannot cross over because their vendor cannot?
-- grain:    one row per PM commitment, vendor invoice and payment, and per ERP commitment and bill on a synced project
-- requires: erp.vendors, pm.vendors
-- fix:      Link the vendor (V1, V2) or name one on the document.
-- columns:
--   side               pm or erp: where the document is
--   document           commitment, vendor_invoice or payment
--   number             the number people use
--   vendor_id          that side's record id of the vendor; null = the document names none
--   amount             its amount
--   approval_status    its status

with jobs as (

    select pm_id, min(erp_source) as erp_source from shared.pm_connections group by pm_id

),

documents as (

    select 'pm' as side, 'commitment' as document, record_id, number, project_id, vendor_id, approval_status,
        coalesce(revised_amount, original_amount) as amount, currency, coalesce(approved_at, created_at) as occurred_at,
        coalesce(jobs.erp_source, books_of(source)) as partner_source
    from pm.commitments
    left join jobs on jobs.pm_id = commitments.project_id

    union all

    select 'pm' as side, 'vendor_invoice' as document, record_id, number, project_id, vendor_id, approval_status,
        net_amount as amount, currency, coalesce(approved_at, created_at) as occurred_at,
        coalesce(jobs.erp_source, books_of(source)) as partner_source
    from pm.vendor_invoices
    left join jobs on jobs.pm_id = vendor_invoices.project_id

    union all

    select 'pm' as side, 'payment' as document, record_id, number, cast(null as varchar) as project_id, vendor_id,
        case coalesce(status, 'paid') when 'paid' then 'approved' else status end as approval_status,
        amount, currency, end_of_day(payment_date) as occurred_at, books_of(source) as partner_source
    from pm.payments
    where direction = 'disbursement'

    union all

    select 'erp' as side, 'commitment' as document, commitments.record_id, commitments.number, projects.project_id,
        commitments.vendor_id, commitments.approval_status, commitments.revised_amount as amount, commitments.currency,
        coalesce(commitments.approved_at, commitments.created_at) as occurred_at, owners.pm_source as partner_source
    from erp.commitments
    left join shared.erp_connections as owners on owners.erp_id = commitments.project_id
    inner join link.erp_projects as projects on projects.erp_id = commitments.project_id and projects.pm_id is not null

    union all

    select 'erp' as side, 'vendor_invoice' as document, bills.record_id, bills.number, projects.project_id, bills.vendor_id,
        bills.approval_status, bills.net_amount as amount, bills.currency, coalesce(bills.approved_at, bills.created_at) as occurred_at,
        owners.pm_source as partner_source
    from erp.vendor_invoices as bills
    left join shared.erp_connections as owners on owners.erp_id = bills.project_id
    inner join link.erp_projects as projects on projects.erp_id = bills.project_id and projects.pm_id is not null

),

linked as (

    select distinct 'pm' as side, links.pm_id as vendor_id, partners.source
    from link.vendors as links
    left join erp.vendors as partners on partners.record_id = links.erp_id
    union all
    select distinct 'erp' as side, links.erp_id as vendor_id, partners.source
    from link.vendors as links
    left join pm.vendors as partners on partners.record_id = links.pm_id

),

-- A draft without a vendor is not yet finished; an approved one goes nowhere. The counterpart must be in the connection that the project
-- is in: a vendor of the other ERP is none.
unlinked as (

    select documents.*
    from documents
    left anti join linked on
        linked.side = documents.side and
        linked.vendor_id = documents.vendor_id and
        coalesce(linked.source = documents.partner_source, true)
    where
        coalesce(documents.approval_status, 'pending') not in ('void', 'rejected') and
        (documents.vendor_id is not null or documents.approval_status in ('approved', 'closed'))

)

select
    'V5:' || unlinked.side || ':' || unlinked.document || ':' || unlinked.record_id as exception_key,
    unlinked.project_id,
    projects.number as project_number,
    case when unlinked.side = 'pm' then unlinked.record_id end as pm_id,
    case when unlinked.side = 'erp' then unlinked.record_id end as erp_id,
    replace(unlinked.document, '_', ' ') || ' ' || coalesce(unlinked.number, unlinked.record_id) as label,
    replace(unlinked.document, '_', ' ') || ' ' || coalesce(unlinked.number, unlinked.record_id) ||
        case when unlinked.vendor_id is null then ' names no vendor' else ' names a vendor without counterpart' end ||
        case unlinked.side when 'pm' then ' in PM' else ' in the ERP' end as detail,
    case when unlinked.side = 'pm' then unlinked.vendor_id end as pm_value,
    case when unlinked.side = 'erp' then unlinked.vendor_id end as erp_value,
    cast(abs(unlinked.amount) as decimal(18,2)) as amount_at_risk,
    coalesce(unlinked.currency, setting_text('currency')) as currency,
    unlinked.occurred_at,
    'vendor unlinked' as cause,
    case when unlinked.side = 'pm' then 'V1:' else 'V2:' end || unlinked.vendor_id as explained_by,
    unlinked.side,
    unlinked.document,
    unlinked.number,
    unlinked.vendor_id,
    cast(unlinked.amount as decimal(18,2)) as amount,
    unlinked.approval_status
from unlinked
left join pm.projects on projects.record_id = unlinked.project_id
