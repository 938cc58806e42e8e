-- title:    Paid in the ERP, not in PM
-- check:    P1
-- entity:   payments
-- scope:    project
-- missing_on: pm
-- record_owner: erp
-- fix_side: erp
-- version:  3
-- risk:     what the ERP has paid; 0 where currencies differ
-- question: Which payments has PM never been told of?
-- grain:    one row per linked group of vendor invoices; one that cannot be compared per project in which PM could show no part of a payment
-- grace:    48 hours
-- parameters: amount_tolerance = 0.01
-- stands_in: erp.vendor_invoices.paid_amount
-- fix:      Run the connector's payment import again; else enter the payment on the PM commitment.
-- columns:
--   group_id           PM's record id of the group
--   invoice_number     number in PM
--   vendor_id          PM's record id of the vendor
--   commitment_id      PM's record id of the commitment
--   pm_paid_amount     paid in PM, payments that name no invoice allotted to the oldest first: nothing, or a cent
--   erp_paid_amount    paid in the ERP by released, unvoided payments
--   erp_paid_at        the ERP's last payment
--   erp_verdict        paid or partly
--   verdict            null; not_applicable for what the ERP has paid in part where PM tells only whether an invoice is paid

with invoices as (

    select
        links.group_id,
        min(links.erp_id) as erp_id,
        min(vendor_invoices.project_id) as project_id,
        min(vendor_invoices.number) as invoice_number,
        min(vendor_invoices.vendor_id) as vendor_id,
        min(vendor_invoices.commitment_id) as commitment_id,
        min(vendor_invoices.currency) as currency
    from link.vendor_invoices as links
    inner join pm.vendor_invoices on vendor_invoices.record_id = links.pm_id
    where coalesce(vendor_invoices.approval_status, 'pending') not in ('void', 'rejected')
    group by links.group_id

)

-- What both sides paid, by other amounts, is P2's.
select
    'P1:' || missing.group_id as exception_key,
    invoices.project_id,
    projects.number as project_number,
    missing.group_id as pm_id,
    invoices.erp_id,
    coalesce(invoices.invoice_number, missing.group_id) as label,
    'vendor invoice ' || coalesce(invoices.invoice_number, missing.group_id) || ' is paid ' ||
        cast(missing.erp_paid_amount as varchar) || ' in the ERP and not in PM' as detail,
    cast(missing.pm_paid_amount as varchar) as pm_value,
    cast(missing.erp_paid_amount as varchar) as erp_value,
    cast(case when missing.currency_differs then 0 else missing.erp_paid_amount - missing.pm_paid_amount end as decimal(18,2)) as amount_at_risk,
    coalesce(invoices.currency, setting_text('currency')) as currency,
    -- An ERP payment carries a date: it counts as the end of that day, or it would be late before it was made.
    end_of_day(cast(missing.erp_paid_at as date)) as occurred_at,
    case when missing.currency_differs then 'currency_differs' else 'unknown' end as cause,
    case when missing.currency_differs then 'I4:' || missing.group_id || ':currency' end as explained_by,
    missing.group_id,
    invoices.invoice_number,
    invoices.vendor_id,
    invoices.commitment_id,
    missing.pm_paid_amount,
    missing.erp_paid_amount,
    missing.erp_paid_at,
    missing.erp_verdict,
    cast(null as varchar) as verdict
from link.unreflected_payments as missing
left join invoices on invoices.group_id = missing.group_id
left join pm.projects on projects.record_id = invoices.project_id

union all

select
    'P1:parts:' || coalesce(parts.project_id, '') as exception_key,
    parts.project_id, projects.number as project_number,
    cast(null as varchar) as pm_id, cast(null as varchar) as erp_id,
    coalesce(projects.number, parts.project_id) as label,
    'payments in part of ' || cast(parts.invoice_count as varchar) || ' invoices cannot be compared' ||
        coalesce(' on project ' || projects.number, '') || ': PM tells only whether an invoice is paid' as detail,
    cast(null as varchar) as pm_value, cast(null as varchar) as erp_value,
    cast(0 as decimal(18,2)) as amount_at_risk, setting_text('currency') as currency,
    cast(null as timestamp with time zone) as occurred_at, 'unknown' as cause, cast(null as varchar) as explained_by,
    cast(null as varchar) as group_id, cast(null as varchar) as invoice_number, cast(null as varchar) as vendor_id,
    cast(null as varchar) as commitment_id, cast(null as decimal(18,2)) as pm_paid_amount, cast(null as decimal(18,2)) as erp_paid_amount,
    cast(null as timestamp with time zone) as erp_paid_at, cast(null as varchar) as erp_verdict,
    'not_applicable' as verdict
from (
    select vendor_invoices.project_id, count(distinct settlements.group_id) as invoice_count
    from link.vendor_invoice_settlements as settlements
    inner join pm.vendor_invoices on vendor_invoices.record_id = settlements.pm_id
    where settlements.erp_verdict = 'partly' and (settlements.erp_paid_amount is distinct from settlements.erp_settled_amount)
    group by vendor_invoices.project_id
) as parts
left join pm.projects on projects.record_id = parts.project_id
