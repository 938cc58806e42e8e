-- title: ProjectSight items of subcontractors' and suppliers' invoices
-- grain: one item of a pay application or general invoice that is not deleted
-- Amounts are of the period, as in vendor_invoices, so that the lines add up to gross_amount.

with -- A budget code is its segments, joined; one of them may be the type of cost, as the project's structure describes it.
--   01-500.L with the segments 01, 500 and L (level 3, "Cost Type") is code 01-500 of type L.
type_levels as (

    select portfolio_id, project_id, max(level) as level
    from source.budget_code_levels
    where coalesce(ok_to_use, true) and coalesce(show_in_code, true) and regexp_like(lower(description), 'type|categor|class')
    group by portfolio_id, project_id

),

segments as (

    select budgets.*, trim(budgets.bdgt_code) as whole,
        nullif(trim(case type_levels.level
            when 1 then group1 when 2 then group2 when 3 then group3 when 4 then group4 when 5 then group5
            when 6 then group6 when 7 then group7 when 8 then group8 when 9 then group9
        end), '') as cost_type
    from source.budgets as budgets
    left join type_levels on type_levels.portfolio_id = budgets.portfolio_id and type_levels.project_id = budgets.project_id

),

codes as (

    select segments.*,
        nullif(trim(case
            when cost_type is null or length(whole) <= length(cost_type) + 1 then whole
            when right(whole, length(cost_type)) = cost_type then left(whole, length(whole) - length(cost_type) - 1)
            when left(whole, length(cost_type)) = cost_type then substr(whole, length(cost_type) + 2)
            else whole
        end), '') as cost_code
    from segments

),

items as (

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
left join codes on
    codes.portfolio_id = items.portfolio_id and codes.project_id = items.project_id and codes.bdgt_code_id = items.bdgt_code_id
