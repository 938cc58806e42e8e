-- title: ProjectSight items of purchase orders
-- grain: one item of a purchase order that is not deleted
-- Schedules of values of contracts come in a shape that is not known: what is committed on a code is told by the budget instead.

select
    items.portfolio_id || '|' || items.project_id || '|O' || items.po_id || '|' || items.po_item_id as record_id,
    orders.when_created as created_at,
    orders.last_modified as updated_at,
    items.portfolio_id || '|' || items.project_id || '|O' || items.po_id as commitment_id,
    items.sort_order as line_number,
    coalesce(codes.cost_code, nullif(trim(items.bdgt_code), '')) as cost_code,
    codes.cost_type,
    nullif(trim(items.description), '') as description,
    items.subtotal as amount
from source.purchase_order_items as items
inner join source.purchase_orders as orders on
    orders.portfolio_id = items.portfolio_id and orders.project_id = items.project_id and orders.po_id = items.po_id
left join shared.budget_codes as codes on
    codes.portfolio_id = items.portfolio_id and codes.project_id = items.project_id and codes.bdgt_code_id = items.bdgt_code_id
where not coalesce(items.deleted, false) and not coalesce(orders.deleted, false)
