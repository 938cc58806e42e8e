-- title:    Invoices with the same total on other cost codes
-- check:    I6
-- entity:   vendor_invoices
-- scope:    project
-- record_owner: pm
-- fix_side: erp
-- version:  1
-- risk:     half of the differences by code and type: what stands in the wrong place
-- question: Which pay applications did accounts payable code differently?
-- grain:    one row per linked group of vendor invoices
-- parameters: amount_tolerance = 0.01
-- requires: pm.vendor_invoice_lines.cost_code, erp.vendor_invoice_lines.cost_code
-- fix:      Re-code the bill in the ERP to the codes of the commitment.
-- columns:
--   group_id           PM's record id of the group
--   number             number in PM
--   pm_total           lines in PM together
--   erp_total          lines in the ERP together
--   pm_coding          amounts by code where they differ, in PM
--   erp_coding         the same, in the ERP

with types as (

    select
        pm_types.code as pm_type,
        erp_types.code as erp_type
    from link.cost_types as links
    inner join pm.cost_types as pm_types on pm_types.record_id = links.pm_id
    inner join erp.cost_types as erp_types on erp_types.record_id = links.erp_id

),

-- Each document once, though a crosswalk may pair it twice.
documents as (

    select distinct 'pm' as side, group_id, pm_id as record_id from link.vendor_invoices
    union all
    select distinct 'erp' as side, group_id, erp_id as record_id from link.vendor_invoices

),

-- A type without a counterpart tells nothing; 01-500 and 01500 are one code here (C3 tells the difference).
lines as (

    select
        documents.group_id,
        coalesce(normalize_number(lines.cost_code), '(none)') as code_key,
        coalesce(types.erp_type, '') as cost_type,
        lines.amount as pm_amount,
        cast(0 as decimal(18,2)) as erp_amount
    from documents
    inner join pm.vendor_invoice_lines as lines on lines.invoice_id = documents.record_id
    left join types on types.pm_type = lines.cost_type
    where documents.side = 'pm'

    union all

    select
        documents.group_id,
        coalesce(normalize_number(lines.cost_code), '(none)') as code_key,
        coalesce(types.erp_type, '') as cost_type,
        cast(0 as decimal(18,2)) as pm_amount,
        lines.amount as erp_amount
    from documents
    inner join erp.vendor_invoices as bills on bills.record_id = documents.record_id
    inner join erp.vendor_invoice_lines as lines on lines.invoice_id = documents.record_id
    left join (select distinct erp_type from types) as types on types.erp_type = lines.cost_type
    where
        documents.side = 'erp' and
        coalesce(bills.approval_status, 'pending') not in ('void', 'rejected')

),

coded as (

    select
        group_id,
        code_key,
        cost_type,
        sum(coalesce(pm_amount, 0)) as pm_amount,
        sum(coalesce(erp_amount, 0)) as erp_amount
    from lines
    group by group_id, code_key, cost_type

),

-- Types are compared where both sides of the group have them: PM lines without a type are no other type.
typed as (

    select group_id
    from coded
    group by group_id
    having
        count(case when cost_type = '' and pm_amount <> 0 then 1 end) = 0 and
        count(case when cost_type = '' and erp_amount <> 0 then 1 end) = 0

),

placed as (

    select
        coded.group_id,
        coded.code_key || case when typed.group_id is not null then ' ' || coded.cost_type else '' end as place,
        sum(coded.pm_amount) as pm_amount,
        sum(coded.erp_amount) as erp_amount
    from coded
    left join typed on typed.group_id = coded.group_id
    group by coded.group_id, coded.code_key || case when typed.group_id is not null then ' ' || coded.cost_type else '' end

),

grouped as (

    select
        group_id,
        sum(pm_amount) as pm_total,
        sum(erp_amount) as erp_total,
        sum(abs(pm_amount - erp_amount)) as moved,
        string_agg(case when pm_amount <> erp_amount then trim(place) || ' ' || cast(pm_amount as varchar) end, ', ' order by place) as pm_coding,
        string_agg(case when pm_amount <> erp_amount then trim(place) || ' ' || cast(erp_amount as varchar) end, ', ' order by place) as erp_coding
    from placed
    group by group_id

),

bills as (

    select group_id, min(pm_id) as pm_id, min(erp_id) as erp_id from link.vendor_invoices group by group_id

)

select
    'I6:' || grouped.group_id as exception_key,
    invoices.project_id,
    projects.number as project_number,
    grouped.group_id as pm_id,
    bills.erp_id,
    coalesce(invoices.number, grouped.group_id) as label,
    'vendor invoice ' || coalesce(invoices.number, grouped.group_id) || ' is coded ' || grouped.pm_coding || ' in PM and ' ||
        grouped.erp_coding || ' in the ERP' as detail,
    grouped.pm_coding as pm_value,
    grouped.erp_coding as erp_value,
    cast(grouped.moved / 2 as decimal(18,2)) as amount_at_risk,
    coalesce(invoices.currency, setting_text('currency')) as currency,
    coalesce(invoices.approved_at, invoices.created_at) as occurred_at,
    'coding' as cause,
    cast(null as varchar) as explained_by,
    grouped.group_id,
    invoices.number,
    cast(grouped.pm_total as decimal(18,2)) as pm_total,
    cast(grouped.erp_total as decimal(18,2)) as erp_total,
    grouped.pm_coding,
    grouped.erp_coding
from grouped
inner join bills on bills.group_id = grouped.group_id
inner join pm.vendor_invoices as invoices on invoices.record_id = bills.pm_id
left join pm.projects on projects.record_id = invoices.project_id
-- Other totals are I4's.
where
    abs(grouped.pm_total - grouped.erp_total) <= setting_decimal('amount_tolerance') and
    grouped.moved > setting_decimal('amount_tolerance') and
    coalesce(invoices.approval_status, 'pending') not in ('void', 'rejected', 'draft')
