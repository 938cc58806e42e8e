-- title:    Cost of both sides, item by item
-- question: Which documents and lines make up the cost to date on each code, in PM and in the ERP?
-- grain:    one row per linked project, code, cost type and item
-- columns:
--   project_id         PM's record id of the project; of several that are one ERP project the first
--   code_key           normalised code; (none) where there is none
--   cost_type          the ERP's cost type; null on codes of which not every line names a linked one
--   place              code and cost type
--   label              the same as people write it, in PM if the code stands there
--   item_id            bill:<group or record id>, line:<stored ERP id>, erp:<ERP record id>, or pool: lines that name nothing
--   stream             requisition, bill (outside commitments) or other
--   pm_count           PM lines: direct costs, and lines of approved requisitions
--   erp_count          project transactions of the ERP
--   mirrored_count     PM lines that a connector made, or that the ERP is sent
--   pm_amount          cost in PM
--   erp_amount         cost in the ERP
--   pm_currency        currency in PM
--   erp_currency       currency in the ERP
--   moved_at           when the item last came to be or changed, UTC
--   explained_by       the exception that a difference follows from

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
        coalesce(bills.record_id, typed_bills.record_id) as bill_id,
        coalesce(bills.group_id, typed_bills.group_id) as group_id,
        coalesce(bills.number_key, typed_bills.number_key) as number_key,
        coalesce(bills.is_committed, typed_bills.is_committed, false) as is_committed,
        coalesce(bills.is_vendor_unlinked, typed_bills.is_vendor_unlinked, false) as is_vendor_unlinked
    from erp.job_costs as costs
    inner join jobs on jobs.erp_id = costs.project_id
    left join (select distinct erp_type from types) as types on types.erp_type = costs.cost_type
    left join named as by_id on by_id.project_id = jobs.pm_id and by_id.erp_line = costs.record_id
    left join named as by_key on by_key.project_id = jobs.pm_id and by_key.erp_line = split_part(costs.record_id, '|', -1)
    left join bills on bills.record_id = costs.document_id
    left join bills as typed_bills on typed_bills.record_id = costs.document_type || '|' || costs.document_id

),

-- A connector that brings bills back as direct costs shows a requisition's cost twice in PM: then the requisition does not count.
repeated as (

    select distinct group_id from posted where erp_line is not null and group_id is not null
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

),

lines as (

    select 'pm' as side, project_id, cost_code, cost_type, coalesce('line:' || erp_line, 'pool') as item_id,
        case when document_type in ('invoice', 'expense', 'subcontractor_invoice') then 'bill' else 'other' end as stream,
        erp_line is not null as is_mirrored, dated, amount, currency, moved_at, cast(null as varchar) as missing_key
    from direct

    union all

    select 'pm' as side, project_id, cost_code, cost_type, 'bill:' || coalesce(group_id, record_id) as item_id, 'requisition' as stream,
        true as is_mirrored, dated, amount, currency, moved_at, case when group_id is null then 'I2:' || record_id end as missing_key
    from requisition_lines

    union all

    select
        'erp' as side,
        posted.project_id,
        posted.cost_code,
        posted.cost_type,
        case
            when posted.erp_line is not null then 'line:' || posted.erp_line
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
            when
                coalesce(trim(posted.cost_code), '') = '' or
                regexp_like(regexp_replace(posted.cost_code, '[^A-Za-z0-9]', '', 'g'), '^0+$') or
                setting_list_contains('default_codes', posted.cost_code)
                then 'C4:job_cost:' || posted.record_id
            -- A bill of a vendor that PM lacks cannot come back.
            when posted.is_vendor_unlinked then 'V5:erp:vendor_invoice:' || posted.bill_id
        end as missing_key
    from posted
    left join repeated on repeated.group_id = posted.group_id
    left join unnamed on unnamed.project_id = posted.project_id

),

-- An item counts on both sides from its earlier date on: another period is I5's question.
dated as (

    select
        lines.*,
        coalesce(normalize_number(cost_code), '(none)') as code_key,
        case when item_id = 'pool' then dated else min(dated) over (partition by project_id, item_id) end as counts_from,
        sum(case when side = 'pm' then coalesce(amount, 0) else -coalesce(amount, 0) end) over (partition by project_id, item_id) as item_gap,
        count(case when side = 'pm' then 1 end) over (partition by project_id, item_id) as item_pm_count,
        count(case when side = 'erp' then 1 end) over (partition by project_id, item_id) as item_erp_count,
        max(moved_at) over (partition by project_id, item_id) as item_moved_at,
        min(case when missing_key like 'C4:%' then missing_key end) over (partition by project_id, item_id) as default_key
    from lines

),

placed as (

    select
        dated.*,
        case when count(*) over code_lines = count(cost_type) over code_lines then cost_type end as told_type
    from dated
    cross join meta.clock
    where counts_from is null or counts_from <= clock.accounting_date
    window code_lines as (partition by project_id, code_key)

)

select
    project_id,
    code_key,
    told_type as cost_type,
    code_key || coalesce(' ' || told_type, '') as place,
    coalesce(min(case when side = 'pm' then trim(cost_code) end), min(trim(cost_code)), '(none)') || coalesce(' ' || told_type, '') as label,
    item_id,
    min(stream) as stream,
    count(case when side = 'pm' then 1 end) as pm_count,
    count(case when side = 'erp' then 1 end) as erp_count,
    count(case when is_mirrored then 1 end) as mirrored_count,
    cast(sum(case when side = 'pm' then coalesce(amount, 0) else 0 end) as decimal(18,2)) as pm_amount,
    cast(sum(case when side = 'erp' then coalesce(amount, 0) else 0 end) as decimal(18,2)) as erp_amount,
    min(case when side = 'pm' then currency end) as pm_currency,
    min(case when side = 'erp' then currency end) as erp_currency,
    max(item_moved_at) as moved_at,
    case
        when sum(case when side = 'pm' then coalesce(amount, 0) else -coalesce(amount, 0) end) = 0 then null
        when min(item_pm_count) = 0 or min(item_erp_count) = 0 then min(missing_key)
        when item_id like 'bill:%' and abs(min(item_gap)) > setting_decimal('amount_tolerance')
            then 'I4:' || substr(item_id, 6) || ':gross'
        when item_id like 'bill:%' then 'I6:' || substr(item_id, 6)
        -- One line, on a code in PM and on a default code in the ERP: both places follow from the default code.
        when item_id like 'line:%' and abs(min(item_gap)) <= setting_decimal('amount_tolerance') then min(default_key)
    end as explained_by
from placed
group by project_id, code_key, told_type, item_id
