-- title:    Invoices that the ERP has paid and PM shows no payment on
-- question: Which ERP payments has PM never been told of, invoice by invoice?
-- grain:    one row per linked group of vendor invoices
-- columns:
--   group_id           PM's record id of the group
--   unit_id            what can be compared as one: see vendor_invoice_settlements
--   pm_paid_amount     paid in PM: nothing, or a cent
--   erp_paid_amount    paid in the ERP by released, unvoided payments
--   erp_paid_at        the ERP's last payment
--   erp_verdict        paid or partly
--   currency_differs   the sides use different currencies: their amounts say nothing to each other

with paid as (

    select
        group_id,
        min(unit_id) as unit_id,
        sum(paid_amount + allocated_amount) as pm_paid_amount,
        max(erp_paid_amount) as erp_paid_amount,
        max(erp_paid_at) as erp_paid_at,
        min(erp_verdict) as erp_verdict,
        bool_or(currency_differs) as currency_differs
    from link.vendor_invoice_settlements
    where erp_verdict in ('paid', 'partly')
    group by group_id

),

erp_units as (

    select unit_id, sum(erp_paid_amount) as paid_amount from paid group by unit_id

),

pm_units as (

    select unit_id, sum(paid_amount + allocated_amount) as paid_amount from link.vendor_invoice_settlements group by unit_id

),

missing as (

    select paid.*, sum(erp_paid_amount - pm_paid_amount) over (partition by unit_id) as unit_shortfall
    from paid
    where
        pm_paid_amount <= setting_decimal('amount_tolerance') and
        erp_paid_amount - pm_paid_amount > setting_decimal('amount_tolerance')

)

select
    missing.group_id,
    missing.unit_id,
    cast(missing.pm_paid_amount as decimal(18,2)) as pm_paid_amount,
    missing.erp_paid_amount,
    missing.erp_paid_at,
    missing.erp_verdict,
    missing.currency_differs
from missing
inner join erp_units on erp_units.unit_id = missing.unit_id
inner join pm_units on pm_units.unit_id = missing.unit_id
-- Payments that name no invoice are allotted to the oldest. Where PM has paid the commitment more than these invoices leave room for, it
-- paid some of them: only the commitment as a whole can be compared (P2).
where missing.unit_shortfall <= erp_units.paid_amount - pm_units.paid_amount + setting_decimal('amount_tolerance')
