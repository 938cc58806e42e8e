-- title:    Lines of cost of both sides, each with the item that it is compared in
-- question: Which line of PM is which line of the ERP?
-- grain:    one row per PM direct cost or line of an approved requisition, and per project transaction of the ERP
-- columns:
--   side               pm or erp
--   project_id         PM's record id of the project; of several that are one ERP project the first
--   cost_code          as the side writes it
--   cost_type          the ERP's cost type, where it is linked
--   item_id            bill:<group or record id>, line:<stored ERP id of a line>, document:<stored ERP id of a document>,
--                      erp:<ERP record id>, or pool: lines that name nothing
--   stream             requisition, bill (outside commitments) or other
--   is_mirrored        whether a connector made the line, or the ERP is sent it
--   dated              day of the cost
--   amount             without tax
--   currency           of the amount
--   moved_at           when the line came to be or changed, UTC
--   missing_key        the exception that the line's absence on the other side follows from

-- PM's job-to-date cost is its direct costs and its requisitions, gross; without stored materials that the connector leaves out.
with unnamed as (

    select distinct project_id from link.direct_costs where stored_id is null

),

-- Some connectors store the bill or batch on a direct cost, not its line.
named_documents as (

    select distinct project_id, stored_document from link.posted_costs where stored_document is not null

),

-- A direct cost that names no ERP line is the one of its bill and amount on a default code, where each side has but one.
default_lines as (

    select project_id, number_key, amount, min(record_id) as record_id
    from link.posted_costs
    where
        stored_line is null and stored_document is null and number_key is not null and
        is_default_code and group_id is null and not is_committed
    group by project_id, number_key, amount
    having count(*) = 1

),

unnamed_lines as (

    select project_id, document_key, amount
    from link.direct_costs
    where stored_id is null and document_key is not null
    group by project_id, document_key, amount
    having count(*) = 1

),

matched_lines as (

    select default_lines.project_id, default_lines.number_key, default_lines.amount, default_lines.record_id
    from default_lines
    inner join unnamed_lines on
        unnamed_lines.project_id = default_lines.project_id and
        unnamed_lines.document_key = default_lines.number_key and
        unnamed_lines.amount = default_lines.amount

)

select 'pm' as side, direct.project_id, direct.cost_code, direct.cost_type,
    coalesce('document:' || named_documents.stored_document, 'line:' || coalesce(direct.stored_id, matched_lines.record_id), 'pool') as item_id,
    case when direct.document_type in ('invoice', 'expense', 'subcontractor_invoice') then 'bill' else 'other' end as stream,
    direct.is_mirrored, direct.dated, direct.amount, direct.currency, direct.moved_at,
    cast(null as varchar) as missing_key
from link.direct_costs as direct
left join named_documents on named_documents.project_id = direct.project_id and named_documents.stored_document = direct.stored_id
left join matched_lines on
    direct.stored_id is null and
    matched_lines.project_id = direct.project_id and
    matched_lines.number_key = direct.document_key and
    matched_lines.amount = direct.amount

union all

select 'pm' as side, lines.project_id, lines.cost_code, lines.cost_type, 'bill:' || coalesce(lines.group_id, lines.invoice_id) as item_id,
    'requisition' as stream, true as is_mirrored, lines.dated, lines.amount, lines.currency, lines.moved_at,
    case
        when lines.group_id is null then 'I2:' || lines.invoice_id
        else 'S2:vendor_invoices:' || unreleased.group_id
    end as missing_key
from link.requisition_costs as lines
left join link.unreleased_bills as unreleased on unreleased.group_id = lines.group_id

union all

select 'erp' as side, posted.project_id, posted.cost_code, posted.cost_type,
    case
        when posted.stored_line is not null then 'line:' || posted.stored_line
        when posted.stored_document is not null then 'document:' || posted.stored_document
        when matched_lines.record_id is not null then 'line:' || posted.record_id
        when posted.group_id is not null and repeated.group_id is null then 'bill:' || posted.group_id
        when posted.group_id is null and posted.is_committed then 'bill:' || posted.bill_id
        when unnamed.project_id is not null then 'pool'
        else 'erp:' || posted.record_id
    end as item_id,
    case
        when posted.group_id is not null or posted.is_committed then 'requisition' when posted.bill_id is not null then 'bill' else 'other'
    end as stream,
    false as is_mirrored, posted.dated, posted.amount, posted.currency, posted.moved_at,
    case
        when posted.group_id is null and posted.is_committed then 'I11:' || posted.bill_id
        when posted.is_default_code then 'C4:job_cost:' || posted.record_id
        -- A bill of a vendor that PM lacks cannot come back.
        when posted.is_vendor_unlinked then 'V5:erp:vendor_invoice:' || posted.bill_id
    end as missing_key
from link.posted_costs as posted
left join link.repeated_costs as repeated on repeated.group_id = posted.group_id
left join unnamed on unnamed.project_id = posted.project_id
left join matched_lines on matched_lines.record_id = posted.record_id
