-- title: ProjectSight items of subcontractors' and suppliers' invoices
-- grain: one item of a pay application or general invoice that is not deleted
-- Amounts are of the period, as in vendor_invoices, so that the lines add up to gross_amount.

with items as (

    select items.portfolio_id, items.project_id, 'I' || items.contract_invoice_id as invoice, items.con_inv_item_id as id, items.bdgt_code_id,
        items.bdgt_code, invoices.when_created, invoices.last_modified,
        coalesce(work_this_invoice_value, 0) + coalesce(mat_install_this_invoice_value, 0) + coalesce(stored_material_value, 0) -
            coalesce(prev_stored_material_value, 0) as amount,
        coalesce(stored_material_value, 0) - coalesce(prev_stored_material_value, 0) as stored_amount,
        total_retain_value - coalesce(prev_total_retain_value, 0) as retainage_amount
    from source.contract_invoice_items as items
    inner join source.contract_invoices as invoices on
        invoices.portfolio_id = items.portfolio_id and invoices.project_id = items.project_id and
        invoices.contract_invoice_id = items.contract_invoice_id
    where not coalesce(items.deleted, false) and not coalesce(invoices.deleted, false)

    union all

    select items.portfolio_id, items.project_id, 'G' || items.gen_inv_id as invoice, items.gen_inv_item_id as id, items.bdgt_code_id,
        items.bdgt_code, invoices.when_created, invoices.last_modified, items.subtotal as amount,
        cast(0 as decimal(24, 2)) as stored_amount, cast(0 as decimal(24, 2)) as retainage_amount
    from source.general_invoice_items as items
    inner join source.general_invoices as invoices on
        invoices.portfolio_id = items.portfolio_id and invoices.project_id = items.project_id and invoices.gen_inv_id = items.gen_inv_id
    where not coalesce(items.deleted, false) and not coalesce(invoices.deleted, false)

)

select
    items.portfolio_id || '|' || items.project_id || '|' || items.invoice || '|' || items.id as record_id,
    items.when_created as created_at,
    items.last_modified as updated_at,
    items.portfolio_id || '|' || items.project_id || '|' || items.invoice as invoice_id,
    coalesce(codes.cost_code, nullif(trim(items.bdgt_code), '')) as cost_code,
    codes.cost_type,
    items.amount,
    items.stored_amount as stored_materials_amount,
    items.retainage_amount
from items
left join shared.budget_codes as codes on
    codes.portfolio_id = items.portfolio_id and codes.project_id = items.project_id and codes.bdgt_code_id = items.bdgt_code_id
