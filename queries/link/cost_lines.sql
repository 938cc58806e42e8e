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
with types as (

    select * from shared.linked_types

),

jobs as (

    select erp_id, pm_id from link.erp_projects where pm_id is not null

),

pm_jobs as (

    select * from shared.joined_projects

),

pm_groups as (

    select pm_id, min(group_id) as group_id from link.vendor_invoices group by pm_id

),

bills as (

    select bills.record_id, min(links.group_id) as group_id, count(commitments.erp_id) > 0 as is_committed, min(bills.number_key) as number_key,
        count(bills.vendor_id) > 0 and count(vendors.erp_id) = 0 as is_vendor_unlinked
    from erp.vendor_invoices as bills
    left join link.vendor_invoices as links on links.erp_id = bills.record_id
    left join (select distinct erp_id from link.commitments) as commitments on commitments.erp_id = bills.commitment_id
    left join (select distinct erp_id from link.vendors) as vendors on vendors.erp_id = bills.vendor_id
    group by bills.record_id

),

direct as (

    select pm_jobs.project_id, costs.cost_code, types.erp_type as cost_type, nullif(trim(costs.linked_id), '') as erp_line, costs.document_type,
        normalize_number(costs.document_id) as document_key, costs.cost_date as dated, costs.amount, costs.currency,
        coalesce(costs.updated_at, costs.created_at) as moved_at
    from pm.job_costs as costs
    inner join pm_jobs on pm_jobs.pm_id = costs.project_id
    left join types on types.pm_type = costs.cost_type

),

named as (

    select distinct project_id, erp_line from direct where erp_line is not null

),

unnamed as (

    select distinct project_id from direct where erp_line is null

),

-- A transaction names its bill by the bill's key, or by the type and number that the key is made of.
posted as (

    select
        jobs.pm_id as project_id,
        costs.record_id,
        costs.cost_code,
        types.erp_type as cost_type,
        costs.cost_date as dated,
        costs.amount,
        costs.currency,
        coalesce(costs.updated_at, costs.created_at) as moved_at,
        coalesce(by_key.erp_line, by_id.erp_line) as erp_line,
        case when by_key.erp_line is null and by_id.erp_line is null then coalesce(by_document.erp_line, by_typed_document.erp_line) end as erp_document,
        coalesce(bills.record_id, typed_bills.record_id) as bill_id,
        coalesce(bills.group_id, typed_bills.group_id) as group_id,
        coalesce(bills.number_key, typed_bills.number_key) as number_key,
        coalesce(bills.is_committed, typed_bills.is_committed, false) as is_committed,
        coalesce(trim(costs.cost_code), '') = '' or
            regexp_like(regexp_replace(costs.cost_code, '[^A-Za-z0-9]', '', 'g'), '^0+$') or
            setting_list_contains('default_codes', costs.cost_code) as is_default_code,
        coalesce(bills.is_vendor_unlinked, typed_bills.is_vendor_unlinked, false) as is_vendor_unlinked
    from erp.job_costs as costs
    inner join jobs on jobs.erp_id = costs.project_id
    left join (select distinct erp_type from types) as types on types.erp_type = costs.cost_type
    left join named as by_id on by_id.project_id = jobs.pm_id and by_id.erp_line = costs.record_id
    left join named as by_key on by_key.project_id = jobs.pm_id and by_key.erp_line = split_part(costs.record_id, '|', -1)
    left join named as by_document on by_document.project_id = jobs.pm_id and by_document.erp_line = costs.document_id
    left join named as by_typed_document on
        by_typed_document.project_id = jobs.pm_id and
        by_typed_document.erp_line = costs.document_type || '|' || costs.document_id
    left join bills on bills.record_id = costs.document_id
    left join bills as typed_bills on typed_bills.record_id = costs.document_type || '|' || costs.document_id

),

-- Some connectors store the bill or batch on a direct cost, not its line.
named_documents as (

    select distinct project_id, erp_document from posted where erp_document is not null

),

-- A direct cost that names no ERP line is the one of its bill and amount on a default code, where each side has but one.
default_lines as (

    select project_id, number_key, amount, min(record_id) as record_id
    from posted
    where erp_line is null and erp_document is null and number_key is not null and is_default_code and group_id is null and not is_committed
    group by project_id, number_key, amount
    having count(*) = 1

),

unnamed_lines as (

    select project_id, document_key, amount
    from direct
    where erp_line is null and document_key is not null
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

),

-- A connector that brings bills back as direct costs shows a requisition's cost twice in PM: then the requisition does not count.
repeated as (

    select distinct group_id from posted where coalesce(erp_line, erp_document) is not null and group_id is not null
    union
    select posted.group_id
    from posted
    inner join direct on direct.project_id = posted.project_id and direct.document_key = posted.number_key
    where posted.group_id is not null and direct.erp_line is null
    union
    select pm_groups.group_id
    from direct
    inner join pm_jobs on pm_jobs.project_id = direct.project_id
    inner join pm.vendor_invoices on vendor_invoices.project_id = pm_jobs.pm_id
    inner join pm_groups on pm_groups.pm_id = vendor_invoices.record_id
    where direct.erp_line is null and direct.document_type = 'subcontractor_invoice'

),

requisitions as (

    select
        pm_jobs.project_id,
        invoices.record_id,
        pm_groups.group_id,
        coalesce(invoices.invoice_date, invoices.period_end, firm_day(invoices.approved_at)) as dated,
        coalesce(invoices.approved_at, invoices.updated_at, invoices.created_at) as moved_at,
        invoices.gross_amount - coalesce(materials.gross_amount, 0) as gross_amount,
        materials.invoice_id is not null as is_without_materials,
        invoices.currency
    from pm.vendor_invoices as invoices
    inner join pm_jobs on pm_jobs.pm_id = invoices.project_id
    left join link.unsynced_materials as materials on materials.invoice_id = invoices.record_id
    left join pm_groups on pm_groups.pm_id = invoices.record_id
    left anti join repeated on repeated.group_id = pm_groups.group_id
    where invoices.approval_status in ('approved', 'closed')

),

-- One whose lines were not given stands on no code: its cost is never dropped.
requisition_lines as (

    select requisitions.*, lines.cost_code, types.erp_type as cost_type,
        lines.amount - case when requisitions.is_without_materials then coalesce(lines.stored_materials_amount, 0) else 0 end as amount
    from requisitions
    inner join pm.vendor_invoice_lines as lines on lines.invoice_id = requisitions.record_id
    left join types on types.pm_type = lines.cost_type

    union all

    select requisitions.*, cast(null as varchar) as cost_code, cast(null as varchar) as cost_type, requisitions.gross_amount as amount
    from requisitions
    left anti join pm.vendor_invoice_lines as lines on lines.invoice_id = requisitions.record_id

)

select 'pm' as side, direct.project_id, direct.cost_code, direct.cost_type,
    coalesce('document:' || named_documents.erp_document, 'line:' || coalesce(direct.erp_line, matched_lines.record_id), 'pool') as item_id,
    case when direct.document_type in ('invoice', 'expense', 'subcontractor_invoice') then 'bill' else 'other' end as stream,
    direct.erp_line is not null as is_mirrored, direct.dated, direct.amount, direct.currency, direct.moved_at,
    cast(null as varchar) as missing_key
from direct
left join named_documents on named_documents.project_id = direct.project_id and named_documents.erp_document = direct.erp_line
left join matched_lines on
    direct.erp_line is null and
    matched_lines.project_id = direct.project_id and
    matched_lines.number_key = direct.document_key and
    matched_lines.amount = direct.amount

union all

select 'pm' as side, lines.project_id, lines.cost_code, lines.cost_type, 'bill:' || coalesce(lines.group_id, lines.record_id) as item_id,
    'requisition' as stream, true as is_mirrored, lines.dated, lines.amount, lines.currency, lines.moved_at,
    case
        when lines.group_id is null then 'I2:' || lines.record_id
        else 'S2:vendor_invoices:' || unreleased.group_id
    end as missing_key
from requisition_lines as lines
left join link.unreleased_bills as unreleased on unreleased.group_id = lines.group_id

union all

select
    'erp' as side,
    posted.project_id,
    posted.cost_code,
    posted.cost_type,
    case
        when posted.erp_line is not null then 'line:' || posted.erp_line
        when posted.erp_document is not null then 'document:' || posted.erp_document
        when matched_lines.record_id is not null then 'line:' || posted.record_id
        when posted.group_id is not null and repeated.group_id is null then 'bill:' || posted.group_id
        when posted.group_id is null and posted.is_committed then 'bill:' || posted.bill_id
        when unnamed.project_id is not null then 'pool'
        else 'erp:' || posted.record_id
    end as item_id,
    case
        when posted.group_id is not null or posted.is_committed then 'requisition' when posted.bill_id is not null then 'bill' else 'other'
    end as stream,
    false as is_mirrored,
    posted.dated,
    posted.amount,
    posted.currency,
    posted.moved_at,
    case
        when posted.group_id is null and posted.is_committed then 'I11:' || posted.bill_id
        when posted.is_default_code then 'C4:job_cost:' || posted.record_id
        -- A bill of a vendor that PM lacks cannot come back.
        when posted.is_vendor_unlinked then 'V5:erp:vendor_invoice:' || posted.bill_id
    end as missing_key
from posted
left join repeated on repeated.group_id = posted.group_id
left join unnamed on unnamed.project_id = posted.project_id
left join matched_lines on matched_lines.record_id = posted.record_id
