-- title: Procore schedules of values of commitments
-- grain: one line of a commitment that is not deleted
-- The original schedule of values: approved change orders have lines of their own, so the lines add up to original_amount.
-- A code is taken from the line, else from the budget code: 01-500.L is code 01-500 with type L.

with demo_projects as (

    select id from source.projects where is_demo

),

contracts as (

    select id, project_id, currency_iso_code from source.work_order_contracts where deleted_at is null
    union all
    select id, project_id, currency_iso_code from source.purchase_order_contracts where deleted_at is null

),

lines as (

    select _key, contract_id, position, description, amount, extended_amount, cost_code, cost_type, flat_code, origin_id, created_at,
        updated_at
    from source.work_order_lines

    union all

    select _key, contract_id, position, description, amount, extended_amount, cost_code, cost_type, flat_code, origin_id, created_at,
        updated_at
    from source.purchase_order_lines

)

select
    lines._key as record_id,
    nullif(trim(lines.origin_id), '') as linked_id,
    lines.created_at,
    lines.updated_at,
    cast(contracts.id as varchar) as commitment_id,
    lines.position as line_number,
    coalesce(
        nullif(trim(lines.cost_code), ''),
        nullif(split_part(lines.flat_code, '.', -2), '')
    ) as cost_code,
    coalesce(
        nullif(trim(lines.cost_type), ''),
        case when strpos(lines.flat_code, '.') > 0 then nullif(split_part(lines.flat_code, '.', -1), '') end
    ) as cost_type,
    nullif(trim(lines.description), '') as description,
    coalesce(lines.amount, lines.extended_amount) as amount,
    contracts.currency_iso_code as currency
from lines
inner join contracts on lines.contract_id = contracts.id
left anti join demo_projects on contracts.project_id = demo_projects.id
