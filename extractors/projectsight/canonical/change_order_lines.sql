-- title: ProjectSight items of subcontracts' change orders
-- grain: one item of a potential change order that a subcontract's change order takes over
-- The items of prime contracts' change orders come in a shape that is not known.

select
    items.portfolio_id || '|' || items.project_id || '|S' || items.change_order_id || '|' || items.pco_item_id as record_id,
    orders.when_created as created_at,
    orders.last_modified as updated_at,
    items.portfolio_id || '|' || items.project_id || '|S' || items.change_order_id as change_order_id,
    coalesce(codes.cost_code, nullif(trim(items.bdgt_code), '')) as cost_code,
    codes.cost_type,
    items.cost_applied_amount as amount
from source.subcontract_change_order_items as items
inner join source.subcontract_change_orders as orders on
    orders.portfolio_id = items.portfolio_id and orders.project_id = items.project_id and orders.change_order_id = items.change_order_id
left join shared.budget_codes as codes on
    codes.portfolio_id = items.portfolio_id and codes.project_id = items.project_id and codes.bdgt_code_id = items.bdgt_code_id
where not coalesce(items.deleted, false) and not coalesce(orders.deleted, false)
