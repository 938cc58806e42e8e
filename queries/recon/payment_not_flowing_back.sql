-- title:    Paid in the ERP, not in PM
-- check:    P1
-- entity:   payments
-- scope:    project
-- missing_on: pm
-- record_owner: erp
-- fix_side: erp
-- version:  1
-- risk:     what the ERP has paid beyond what PM shows; 0 where currencies differ
-- question: Which payments has PM never been told of?
-- grain:    one row per linked group of vendor invoices
-- grace:    48 hours
-- parameters: amount_tolerance = 0.01
-- fix:      Run the connector's payment import again; else enter the payment on the PM commitment.
-- columns:
--   group_id           PM's record id of the group
--   invoice_number     number in PM
--   vendor_id          PM's record id of the vendor
--   commitment_id      PM's record id of the commitment
--   pm_paid_amount     paid in PM, payments that name no invoice allotted to the oldest first
--   erp_paid_amount    paid in the ERP by released, unvoided payments
--   erp_paid_at        the ERP's last payment
--   erp_verdict        paid or partly

with paid_groups as (

    select
        settlements.group_id,
        min(vendor_invoices.project_id) as project_id,
        min(vendor_invoices.number) as invoice_number,
        min(vendor_invoices.vendor_id) as vendor_id,
        min(vendor_invoices.commitment_id) as commitment_id,
        min(vendor_invoices.currency) as currency,
        sum(settlements.paid_amount + settlements.allocated_amount) as pm_paid_amount,
        max(settlements.erp_paid_amount) as erp_paid_amount,
        max(settlements.erp_paid_at) as erp_paid_at,
        min(settlements.erp_verdict) as erp_verdict,
        bool_or(settlements.currency_differs) as currency_differs
    from link.vendor_invoice_settlements as settlements
    inner join pm.vendor_invoices on vendor_invoices.record_id = settlements.pm_id
    where settlements.erp_verdict in ('paid', 'partly')
    group by settlements.group_id

),

bills as (

    select group_id, min(erp_id) as erp_id
    from link.vendor_invoices
    group by group_id

),

missing as (

    select
        paid_groups.*,
        erp_paid_amount - pm_paid_amount as shortfall
    from paid_groups
    where erp_paid_amount - pm_paid_amount > setting_decimal('amount_tolerance')

)

select
    'P1:' || missing.group_id as exception_key,
    missing.project_id,
    projects.number as project_number,
    missing.group_id as pm_id,
    bills.erp_id,
    coalesce(missing.invoice_number, missing.group_id) as label,
    'vendor invoice ' || coalesce(missing.invoice_number, missing.group_id) || ' is paid ' ||
        cast(missing.erp_paid_amount as varchar) || ' in the ERP and ' ||
        cast(missing.pm_paid_amount as varchar) || ' in PM' as detail,
    cast(missing.pm_paid_amount as varchar) as pm_value,
    cast(missing.erp_paid_amount as varchar) as erp_value,
    cast(case when missing.currency_differs then 0 else missing.shortfall end as decimal(18,2)) as amount_at_risk,
    coalesce(missing.currency, setting_text('currency')) as currency,
    -- An ERP payment carries a date: it counts as the end of that day, or it would be late before it was made.
    end_of_day(cast(missing.erp_paid_at as date)) as occurred_at,
    case
        when missing.currency_differs then 'currency_differs'
        when missing.pm_paid_amount > setting_decimal('amount_tolerance') then 'partial payment'
        else 'unknown'
    end as cause,
    case when missing.currency_differs then 'I4:' || missing.group_id || ':currency' end as explained_by,
    missing.group_id,
    missing.invoice_number,
    missing.vendor_id,
    missing.commitment_id,
    cast(missing.pm_paid_amount as decimal(18,2)) as pm_paid_amount,
    missing.erp_paid_amount,
    missing.erp_paid_at,
    missing.erp_verdict
from missing
left join bills on bills.group_id = missing.group_id
left join pm.projects on projects.record_id = missing.project_id
