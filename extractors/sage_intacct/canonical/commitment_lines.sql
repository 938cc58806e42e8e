-- title: Sage Intacct lines of subcontracts and purchase orders
-- grain: one line of a primary document; one line of the document where its details did not come
-- A detail holds what the line is worth now: its original amount and the posted changes of it. Lines are numbered from 0 there.

with detailed as (

    select
        concat(document, '|', key) as record_id, document, line_number + 1 as line_number, task, cost_type, memo as description,
        revised_amount as amount
    from source.primary_document_lines

),

plain as (

    select
        concat(lines.document, '|', lines.key) as record_id, lines.document, lines.line_number + 1 as line_number, lines.task, lines.cost_type,
        lines.line_description as description, lines.extended_price_in_txn_currency as amount
    from source.document_lines as lines
    left anti join detailed on detailed.document = lines.document
    where coalesce(lines.related_document, lines.primary_document, lines.source_document, lines.document) = lines.document

),

lines as (

    select * from detailed
    union all
    select * from plain

)

select
    lines.record_id,
    documents.modified_date_time as updated_at,
    lines.document as commitment_id,
    lines.line_number,
    nullif(trim(lines.task), '') as cost_code,
    nullif(trim(lines.cost_type), '') as cost_type,
    lines.description,
    lines.amount,
    nullif(trim(documents.txn_currency), '') as currency
from lines
inner join source.documents as documents on documents.key = lines.document
