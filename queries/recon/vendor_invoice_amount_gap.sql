-- title:    Vendor invoices whose amounts differ
-- check:    I4
-- entity:   vendor_invoices
-- scope:    project
-- record_owner: pm
-- fix_side: erp
-- version:  2
-- risk:     the difference without its sign; 0 where currencies differ
-- question: Where do a pay application and its ERP bills disagree?
-- grain:    one row per linked group and component (gross, retainage, tax, net); component currency if currencies differ
-- parameters: amount_tolerance = 0.01, connector_profile
-- fix:      Open both documents; correct the ERP bill, or resend it from PM.
-- columns:
--   group_id           PM's record id of the group
--   component          gross, retainage, tax, net; currency if the sides use different ones
--   comparison         differs, missing_in_pm, missing_in_erp or currency_differs
--   pm_amount          PM's amount of this period, the group's documents together
--   erp_amount         the ERP's
--   difference         PM minus ERP; a side without the amount counts as 0
--   pm_number          number in PM
--   erp_numbers        numbers of the ERP documents
--   pm_document_count  PM documents in the group, void and rejected ones apart
--   erp_document_count ERP documents in the group, void and rejected ones apart

-- What counts as a difference, and which difference only follows from another, is the same for owner and vendor invoices:
-- queries/shared/invoice_amount_gaps.sql.
with left_out as (

    select group_id, sum(gross_amount) as gross, sum(retainage_amount) as retainage, sum(net_amount) as net
    from link.unsynced_materials
    group by group_id

)

select
    'I4:' || gaps.group_id || ':' || gaps.component as exception_key,
    gaps.project_id,
    projects.number as project_number,
    gaps.group_id as pm_id,
    gaps.erp_id,
    gaps.invoice || ' ' || gaps.component as label,
    case when gaps.component <> 'currency' then gaps.component || ' of ' else '' end ||
        'vendor invoice ' || gaps.invoice || ' ' || gaps.told as detail,
    gaps.pm_value,
    gaps.erp_value,
    gaps.amount_at_risk,
    gaps.currency,
    gaps.occurred_at,
    gaps.cause,
    'I4:' || gaps.group_id || ':' || gaps.explained_by as explained_by,
    gaps.group_id,
    gaps.component,
    gaps.comparison,
    gaps.pm_amount,
    gaps.erp_amount,
    gaps.difference,
    gaps.pm_number,
    gaps.erp_numbers,
    gaps.pm_document_count,
    gaps.erp_document_count
from shared.invoice_amount_gaps as gaps
left join pm.projects on projects.record_id = gaps.project_id
left join left_out on left_out.group_id = gaps.group_id
where
    left_out.group_id is null or
    gaps.component in ('currency', 'tax') or
    abs(
        gaps.difference -
        case gaps.component when 'gross' then left_out.gross when 'retainage' then left_out.retainage else left_out.net end
    ) > setting_decimal('amount_tolerance')
