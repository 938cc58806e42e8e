-- title:    Invoices with the same total on other cost codes
-- check:    I6
-- entity:   vendor_invoices
-- scope:    project
-- record_owner: pm
-- fix_side: erp
-- version:  1
-- risk:     half of the differences by code and type: what stands in the wrong place
-- question: Which pay applications did accounts payable code differently?
-- grain:    one row per linked group of vendor invoices that is coded otherwise, or cannot be compared for want of lines
-- parameters: amount_tolerance = 0.01
-- requires: pm.vendor_invoice_lines.cost_code, erp.vendor_invoice_lines.cost_code
-- fix:      Re-code the bill in the ERP to the codes of the commitment.
-- columns:
--   verdict            null; not_applicable where a side does not give all lines
--   group_id           PM's record id of the group
--   number             number in PM
--   pm_total           lines in PM together
--   erp_total          lines in the ERP together
--   pm_coding          amounts by code where they differ, in PM
--   erp_coding         the same, in the ERP

-- Each document once, though a crosswalk may pair it twice.
with documents as (

    select distinct 'pm' as side, group_id, pm_id as record_id from link.vendor_invoices
    union all
    select distinct 'erp' as side, group_id, erp_id as record_id from link.vendor_invoices

),

grouped as (

    select
        group_id,
        sum(pm_amount) as pm_total, sum(erp_amount) as erp_total,
        sum(abs(pm_amount - erp_amount)) as moved,
        string_agg(case when pm_amount <> erp_amount then trim(place) || ' ' || cast(pm_amount as varchar) end, ', ' order by place) as pm_coding,
        string_agg(case when pm_amount <> erp_amount then trim(place) || ' ' || cast(erp_amount as varchar) end, ', ' order by place) as erp_coding
    from link.invoice_codings
    group by group_id

),

-- What the documents themselves come to: void and rejected ones apart.
headers as (

    select
        documents.group_id,
        min(case when documents.side = 'pm' then documents.record_id end) as pm_id,
        min(case when documents.side = 'erp' then documents.record_id end) as erp_id,
        sum(invoices.gross_amount) as pm_gross, sum(bills.gross_amount) as erp_gross
    from documents
    left join pm.vendor_invoices as invoices on documents.side = 'pm' and invoices.record_id = documents.record_id
    left join erp.vendor_invoices as bills on
        documents.side = 'erp' and
        bills.record_id = documents.record_id and
        coalesce(bills.approval_status, 'pending') not in ('void', 'rejected')
    group by documents.group_id

),

-- Other totals are I4's; where the documents agree and their lines do not, lines are missing, and nobody looked at the coding.
told as (

    select
        headers.*,
        invoices.project_id, invoices.number, invoices.currency,
        coalesce(invoices.approved_at, invoices.created_at) as occurred_at,
        coalesce(grouped.pm_total, 0) as pm_total, coalesce(grouped.erp_total, 0) as erp_total,
        grouped.moved, grouped.pm_coding, grouped.erp_coding,
        case
            when
                abs(coalesce(grouped.pm_total, 0) - coalesce(grouped.erp_total, 0)) > setting_decimal('amount_tolerance') or
                grouped.group_id is null and headers.pm_gross <> 0
                then 'not_applicable'
        end as verdict
    from headers
    inner join pm.vendor_invoices as invoices on invoices.record_id = headers.pm_id
    left join grouped on grouped.group_id = headers.group_id
    where
        coalesce(invoices.approval_status, 'pending') not in ('void', 'rejected', 'draft') and
        case
            when abs(coalesce(grouped.pm_total, 0) - coalesce(grouped.erp_total, 0)) <= setting_decimal('amount_tolerance')
                then coalesce(grouped.moved, abs(headers.pm_gross)) > setting_decimal('amount_tolerance')
            else abs(headers.pm_gross - headers.erp_gross) <= setting_decimal('amount_tolerance')
        end

)

select
    'I6:' || told.group_id as exception_key,
    told.project_id,
    projects.number as project_number,
    told.group_id as pm_id,
    told.erp_id,
    coalesce(told.number, told.group_id) as label,
    'vendor invoice ' || coalesce(told.number, told.group_id) ||
        case
            when told.verdict is null then ' is coded ' || told.pm_coding || ' in PM and ' || told.erp_coding || ' in the ERP'
            else
                ' cannot be compared by code: its lines come to ' || cast(cast(told.pm_total as decimal(18,2)) as varchar) || ' in PM and to ' ||
                cast(cast(told.erp_total as decimal(18,2)) as varchar) || ' in the ERP'
        end as detail,
    told.pm_coding as pm_value, told.erp_coding as erp_value,
    cast(told.moved / 2 as decimal(18,2)) as amount_at_risk,
    coalesce(told.currency, setting_text('currency')) as currency,
    told.occurred_at,
    'coding' as cause,
    cast(null as varchar) as explained_by,
    told.verdict,
    told.group_id,
    told.number,
    cast(told.pm_total as decimal(18,2)) as pm_total, cast(told.erp_total as decimal(18,2)) as erp_total,
    told.pm_coding, told.erp_coding
from told
left join pm.projects on projects.record_id = told.project_id
