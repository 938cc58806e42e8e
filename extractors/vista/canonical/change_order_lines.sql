-- title: Vista items of subcontract and purchase order change orders
-- grain: one posted change of an item, or one planned item that is not in accounting yet
-- They add up to the change orders of change_orders.sql. Items of owners' change orders are on contract items, not on phases: left out.

with lines as (

    select
        concat('SL|', changes.sl_co, '|', trim(changes.sl), '|', changes.sl_change_order) as change_order_id, changes.key_id, 'posted' as stage,
        items.phase_group, items.phase, items.jcc_type as cost_type, changes.change_cur_cost as amount
    from source.subcontract_changes as changes
    left join source.subcontract_items as items on items.sl_co = changes.sl_co and items.sl = changes.sl and items.sl_item = changes.sl_item

    union all

    select concat('PO|', changes.po_co, '|', trim(changes.po), '|', changes.poco_num), changes.key_id, 'posted', items.phase_group, items.phase,
        items.jcc_type, changes.change_cur_cost
    from source.purchase_order_changes as changes
    left join source.purchase_order_items as items on items.po_co = changes.po_co and items.po = changes.po and items.po_item = changes.po_item
    where changes.poco_num is not null

    union all

    select concat('SL|', sl_co, '|', trim(sl), '|', sub_co), key_id, 'planned', phase_group, phase, cost_type, amount
    from source.planned_subcontract_items
    where upper(trim(record_type)) = 'C' and interface_date is null and sub_co is not null

    union all

    select concat('PO|', po_co, '|', trim(po), '|', poco_num), key_id, 'planned', phase_group, phase, cost_type, amount
    from source.planned_purchase_items
    where upper(trim(record_type)) = 'C' and interface_date is null and poco_num is not null

)

select
    concat(lines.change_order_id, '|', lines.stage, ' ', lines.key_id) as record_id,
    lines.change_order_id,
    nullif(rtrim(regexp_replace(trim(lines.phase), ' *([^A-Za-z0-9 ]) *', '\1', 'g'), '-./ '), '') as cost_code,
    coalesce(types.code, cast(lines.cost_type as varchar)) as cost_type,
    lines.amount
from lines
left join shared.cost_types as types on types.phase_group = lines.phase_group and types.cost_type = lines.cost_type
