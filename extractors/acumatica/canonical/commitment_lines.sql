-- title: Acumatica lines of subcontracts and purchase orders
-- grain: one line of an order
-- ExtendedCost is before retainage, and its lines add up to the order's total; Amount of a subcontract's line is after it. A discount of
-- the line is taken off, as the order's is in commitments.sql. Canceled lines stay: the order's total holds them too.
-- Lines that change orders added are lines like others. The cost type is the group of the line's account.

with accounts as (

    select trim(account_cd) as account, nullif(trim(account_group), '') as account_group from source.accounts

),

lines as (

    select
        trim(subcontract_nbr) as commitment_id, coalesce(line_nbr, position) as line_number, cost_code, account, line_description,
        coalesce(extended_cost, amount) - coalesce(discount_amount, 0) as amount
    from source.subcontract_lines

    union all

    select
        concat(trim(type), '|', trim(order_nbr)) as commitment_id, coalesce(line_nbr, position) as line_number, cost_code, account,
        line_description, extended_cost as amount
    from source.purchase_order_lines

),

orders as (

    select trim(subcontract_nbr) as commitment_id, last_modified_date_time, nullif(trim(currency_id), '') as currency
    from source.subcontracts

    union all

    select concat(trim(type), '|', trim(order_nbr)) as commitment_id, last_modified_date_time, nullif(trim(currency_id), '') as currency
    from source.purchase_orders

)

select
    concat(lines.commitment_id, '|', cast(lines.line_number as varchar)) as record_id,
    orders.last_modified_date_time as updated_at,
    lines.commitment_id,
    lines.line_number,
    nullif(trim(lines.cost_code), '') as cost_code,
    accounts.account_group as cost_type,
    lines.line_description as description,
    lines.amount,
    orders.currency
from lines
inner join orders on lines.commitment_id = orders.commitment_id
left join accounts on trim(lines.account) = accounts.account
