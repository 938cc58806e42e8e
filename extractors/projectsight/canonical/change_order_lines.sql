-- title: ProjectSight items of subcontracts' change orders
-- grain: one item of a potential change order that a subcontract's change order takes over
-- The items of prime contracts' change orders come in a shape that is not known.

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

)

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
left join codes on
    codes.portfolio_id = items.portfolio_id and codes.project_id = items.project_id and codes.bdgt_code_id = items.bdgt_code_id
where not coalesce(items.deleted, false) and not coalesce(orders.deleted, false)
