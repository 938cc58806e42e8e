-- title: Sage Intacct subcontracts and purchase orders
-- grain: one purchasing document that is a primary document
-- statuses: draft, submitted, partiallyApproved, declined, pending, approved, inProgress, partiallyConverted, converted, closed
-- A document is what its definition makes of it. Commitments are the documents with a summary of their own (construction's primary
-- documents), and those of the connector's definitions where the summary did not come; what hangs on another document (a change, a
-- vendor invoice made of it) is none. `pending` is open and not yet billed, `converted` billed in full.
-- Original, changes and revised are the summary's; the document's own totals stand in for it.

with lines as (

    select document, count(*) as line_count,
        max(case when coalesce(related_document, primary_document, source_document) <> document then 1 else 0 end) as hangs_on_another,
        case when min(project) = max(project) then min(project) end as project
    from (select *, nullif(trim(project), '') as project_id from source.document_lines) as lines
    group by document

),

orders as (

    select documents.*, coalesce(firm_status('documents', documents.status), case lower(trim(documents.status))
            when 'draft' then 'draft'
            when 'declined' then 'rejected'
            when 'pending' then 'approved'
            when 'approved' then 'approved'
            when 'active' then 'approved'
            when 'partiallyconverted' then 'approved'
            when 'converted' then 'closed'
            when 'closed' then 'closed'
            else 'pending'
        end) as approval_status,
        totals.document is not null as has_summary, totals.original_amount as summed_original, totals.posted_changes as summed_changes,
        totals.revised_amount as summed_revised, totals.invoiced_amount, totals.paid_amount,
        coalesce(nullif(trim(documents.project), ''), nullif(trim(totals.project), ''), lines.project) as project_id,
        coalesce(lines.hangs_on_another, cast(0 as decimal(24, 6))) = 1 or nullif(trim(documents.related_document), '') is not null as is_dependent
    from source.documents as documents
    left join source.primary_documents as totals on totals.document = documents.key
    left join lines on lines.document = documents.key

),

gone as (

    select trim(object_id) as id, max(deleted_at) as deleted_at
    from source.deletions
    where lower(trim(object_name)) = 'podocument'
    group by 1

)

select
    orders.key as record_id,
    orders.created_date_time as created_at,
    orders.modified_date_time as updated_at,
    case when lower(orders.definition) like '%subcontract%' then 'subcontract' else 'purchase_order' end as kind,
    trim(orders.document_number) as number,
    normalize_number(trim(orders.document_number)) as number_key,
    coalesce(nullif(trim(orders.external_reference), ''), nullif(trim(orders.reference_number), '')) as external_reference,
    orders.project_id,
    nullif(trim(orders.vendor), '') as vendor_id,
    nullif(trim(orders.memo), '') as title,
    orders.approval_status,
    case when orders.approval_status in ('approved', 'closed') then end_of_day(coalesce(orders.approved_on, orders.signed_off_on)) end as approved_at,
    nullif(trim(orders.approved_by), '') as approved_by,
    orders.executed_on,
    coalesce(orders.summed_original, orders.original_amount, orders.total_in_txn_currency, orders.total) as original_amount,
    coalesce(orders.summed_changes, orders.posted_changes_total, cast(0 as decimal(24, 6))) as approved_change_amount,
    coalesce(
        orders.summed_revised, orders.original_amount + coalesce(orders.posted_changes_total, cast(0 as decimal(24, 6))), orders.total_in_txn_currency, orders.total
    ) as revised_amount,
    orders.invoiced_amount,
    orders.paid_amount,
    orders.retainage_percent,
    nullif(trim(orders.txn_currency), '') as currency
from orders
left anti join gone on gone.id = trim(orders.id) and gone.deleted_at > coalesce(orders.created_date_time, timestamp '1970-01-01')
where orders.has_summary or (not orders.is_dependent and lower(orders.definition) like 'pc %')
