-- title:    Coding of linked vendor invoices, both sides
-- question: What does each side put on each cost code of a pay application?
-- grain:    one row per linked group, code and cost type; types only where all lines of both sides have one that is linked
-- columns:
--   group_id           PM's record id of the group
--   place              code, as PM writes it where it has it, and cost type
--   pm_amount          lines in PM
--   erp_amount         lines in the ERP, void and rejected bills apart

with types as (

    select * from shared.linked_types

),

-- Each document once, though a crosswalk may pair it twice.
documents as (

    select distinct 'pm' as side, links.group_id, links.pm_id as record_id, bills.source as erp_source
    from link.vendor_invoices as links
    left join erp.vendor_invoices as bills on bills.record_id = links.erp_id
    union all
    select distinct 'erp' as side, group_id, erp_id as record_id, cast(null as varchar) as erp_source from link.vendor_invoices

),

-- A type without a counterpart tells nothing; 01-500 and 01500 are one code here (C3 tells the difference).
lines as (

    select
        documents.group_id,
        coalesce(normalize_number(lines.cost_code), '(none)') as code_key,
        trim(lines.cost_code) as pm_code,
        trim(lines.cost_code) as code,
        coalesce(types.erp_type, '') as cost_type,
        lines.amount as pm_amount,
        cast(0 as decimal(18,2)) as erp_amount
    from documents
    inner join pm.vendor_invoice_lines as lines on lines.invoice_id = documents.record_id
    left join types on types.pm_type = lines.cost_type and coalesce(types.pm_source, '') = coalesce(lines.source, '') and
        coalesce(types.erp_source, '') = coalesce(documents.erp_source, '')
    where documents.side = 'pm'

    union all

    select
        documents.group_id,
        coalesce(normalize_number(lines.cost_code), '(none)') as code_key,
        cast(null as varchar) as pm_code,
        trim(lines.cost_code) as code,
        coalesce(types.erp_type, '') as cost_type,
        cast(0 as decimal(18,2)) as pm_amount,
        lines.amount as erp_amount
    from documents
    inner join erp.vendor_invoices as bills on bills.record_id = documents.record_id
    inner join erp.vendor_invoice_lines as lines on lines.invoice_id = documents.record_id
    left join (select distinct erp_type, erp_source from types) as types on
        types.erp_type = lines.cost_type and coalesce(types.erp_source, '') = coalesce(bills.source, '')
    where
        documents.side = 'erp' and
        coalesce(bills.approval_status, 'pending') not in ('void', 'rejected')

),

coded as (

    select
        group_id,
        code_key,
        -- As PM writes it, where PM has it.
        coalesce(min(pm_code), min(code), '(none)') as code,
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

)

select
    coded.group_id,
    min(coded.code) || coalesce(' ' || case when typed.group_id is not null then coded.cost_type end, '') as place,
    sum(coded.pm_amount) as pm_amount,
    sum(coded.erp_amount) as erp_amount
from coded
left join typed on typed.group_id = coded.group_id
group by coded.group_id, coded.code_key, typed.group_id, case when typed.group_id is not null then coded.cost_type end
