-- title:    Stored materials that the connector leaves out
-- entity:   vendor_invoices
-- question: Which PM invoices stand in the ERP without their stored materials, because the connector does not send those?
-- grain:    one row per PM vendor invoice with stored materials whose group comes to its ERP bills without them
-- parameters: connector_profile, amount_tolerance = 0.01
-- columns:
--   invoice_id         PM's record id of the invoice
--   group_id           PM's record id of the group
--   gross_amount       change of stored materials in its period, part of its gross
--   retainage_amount   retained on them
--   net_amount         gross less retainage

-- Procore Edge for Acumatica ignores stored materials on subcontractor invoices: what is never synced is no exception. Where somebody
-- entered them in the ERP by hand both sides agree, and nothing is left out; any other difference is a difference.
with pairs as (

    select * from shared.group_turns

),

-- Each document counts once in its group.
grouped as (

    select
        pairs.group_id,
        sum(invoices.gross_amount) as pm_amount,
        sum(invoices.stored_materials_amount) as stored_amount,
        sum(bills.gross_amount) as erp_amount
    from pairs
    left join pm.vendor_invoices as invoices on
        invoices.record_id = pairs.pm_id and
        pairs.is_first_of_pm and
        coalesce(invoices.approval_status, 'pending') not in ('void', 'rejected')
    left join erp.vendor_invoices as bills on
        bills.record_id = pairs.erp_id and
        pairs.is_first_of_erp and
        coalesce(bills.approval_status, 'pending') not in ('void', 'rejected')
    group by pairs.group_id

)

select
    invoices.record_id as invoice_id,
    grouped.group_id,
    invoices.stored_materials_amount as gross_amount,
    cast(coalesce(invoices.stored_materials_retainage_amount, 0) as decimal(18,2)) as retainage_amount,
    cast(invoices.stored_materials_amount - coalesce(invoices.stored_materials_retainage_amount, 0) as decimal(18,2)) as net_amount
from grouped
inner join pairs on pairs.group_id = grouped.group_id and pairs.is_first_of_pm
inner join pm.vendor_invoices as invoices on invoices.record_id = pairs.pm_id
where
    setting_text('connector_profile') = 'procore-acumatica-edge' and
    coalesce(invoices.approval_status, 'pending') not in ('void', 'rejected') and
    invoices.stored_materials_amount <> 0 and
    grouped.stored_amount <> 0 and
    abs(grouped.pm_amount - grouped.stored_amount - grouped.erp_amount) <= setting_decimal('amount_tolerance')
