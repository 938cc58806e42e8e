-- title: Acumatica lines of change orders
-- grain: one revenue line or one commitment line; what a reference changes on the cost budget alone is on no contract
-- They add up to the change orders of change_orders.sql, which split a reference by kind and contract.
--   000012 with revenue 500.00 and lines on SC-1 300.00 and SC-2 100.00 → lines of 000012|prime, 000012|commitment|SC-1 and …|SC-2.
-- The cost type is the revenue line's account group, or the group of the commitment line's account.

with accounts as (

    select trim(account_cd) as account, nullif(trim(account_group), '') as account_group from source.accounts

),

lines as (

    select
        trim(ref_nbr) as reference, concat(trim(ref_nbr), '|prime') as change_order_id, 'revenue' as part, position, cost_code,
        nullif(trim(account_group), '') as cost_type, amount, arrow_cast(null, 'Utf8') as currency
    from source.change_order_revenue

    union all

    select
        trim(changes.ref_nbr) as reference,
        concat(
            trim(changes.ref_nbr), '|commitment|',
            case
                when nullif(trim(changes.po_nbr), '') is null then ''
                when lower(trim(changes.po_type)) in ('subcontract', 'rs') then trim(changes.po_nbr)
                else concat(trim(changes.po_type), '|', trim(changes.po_nbr))
            end
        ) as change_order_id,
        'commitment' as part, changes.position, changes.cost_code, accounts.account_group as cost_type, changes.amount,
        nullif(trim(changes.currency_id), '') as currency
    from source.change_order_commitments as changes
    left join accounts on trim(changes.account) = accounts.account

),

projects as (

    select trim(project_id) as project_id, nullif(trim(project_currency), '') as currency from source.projects

)

select
    concat(lines.reference, '|', lines.part, '|', cast(lines.position as varchar)) as record_id,
    orders.last_modified_date_time as updated_at,
    lines.change_order_id,
    nullif(trim(lines.cost_code), '') as cost_code,
    lines.cost_type,
    lines.amount,
    coalesce(lines.currency, projects.currency) as currency
from lines
inner join source.change_orders as orders on lines.reference = trim(orders.ref_nbr)
left join projects on trim(orders.project_id) = projects.project_id
