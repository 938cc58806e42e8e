-- title: Vista items of subcontracts and purchase orders
-- grain: one item; of an order that is not in accounting yet, one planned item
-- What an item costs now, changes included, without tax.

with orders as (

    select 'SL' as module, sl_co as co, sl as number, status from source.subcontracts
    union all
    select 'PO', po_co, po, status from source.purchase_orders

),

posted as (

    select 'SL' as module, sl_co as co, sl as number, sl_item as item, phase_group, phase, jcc_type as cost_type, description, cur_cost as amount
    from source.subcontract_items

    union all

    select 'PO', po_co, po, po_item, phase_group, phase, jcc_type, description, cur_cost
    from source.purchase_order_items

),

planned as (

    select 'SL' as module, sl_co as co, sl as number, sl_item as item, phase_group, phase, cost_type, sl_item_description as description, amount, seq
    from source.planned_subcontract_items
    where upper(trim(record_type)) = 'O' and nullif(trim(sl), '') is not null

    union all

    select 'PO', po_co, po, po_item, phase_group, phase, cost_type, mtl_description, amount, seq
    from source.planned_purchase_items
    where upper(trim(record_type)) = 'O' and nullif(trim(po), '') is not null

),

lines as (

    select module, co, number, item, concat('item ', item) as key, phase_group, phase, cost_type, description, amount from posted

    union all

    select planned.module, planned.co, planned.number, planned.item, concat('planned ', planned.seq), planned.phase_group, planned.phase,
        planned.cost_type, planned.description, planned.amount
    from planned
    left anti join posted on posted.module = planned.module and posted.co = planned.co and posted.number = planned.number

)

select
    concat(lines.module, '|', lines.co, '|', trim(lines.number), '|', lines.key) as record_id,
    concat(lines.module, '|', lines.co, '|', trim(lines.number)) as commitment_id,
    lines.item as line_number,
    nullif(rtrim(regexp_replace(trim(lines.phase), ' *([^A-Za-z0-9 ]) *', '\1', 'g'), '-./ '), '') as cost_code,
    coalesce(types.code, cast(lines.cost_type as varchar)) as cost_type,
    nullif(trim(lines.description), '') as description,
    lines.amount
from lines
inner join orders on orders.module = lines.module and orders.co = lines.co and orders.number = lines.number
left join shared.cost_types as types on types.phase_group = lines.phase_group and types.cost_type = lines.cost_type
