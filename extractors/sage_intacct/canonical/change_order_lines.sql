-- title: Sage Intacct lines of change documents
-- grain: one line of a change document; a project change order has no lines of its own
-- They add up to the change documents of change_orders.sql.

select
    concat('document|', lines.document, '|', lines.key) as record_id,
    documents.modified_date_time as updated_at,
    concat('document|', lines.document, '|', coalesce(lines.related_document, lines.primary_document)) as change_order_id,
    nullif(trim(lines.task), '') as cost_code,
    nullif(trim(lines.cost_type), '') as cost_type,
    lines.extended_price_in_txn_currency as amount,
    nullif(trim(documents.txn_currency), '') as currency
from source.document_lines as lines
inner join source.documents as documents on documents.key = lines.document
left anti join source.primary_documents as contracts on contracts.document = lines.document
where nullif(trim(lines.source_document), '') is null and coalesce(lines.related_document, lines.primary_document) <> lines.document
