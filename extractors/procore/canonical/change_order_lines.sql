-- title: Procore lines of change orders
-- grain: one line of a change order, under the record that stands for it in change_orders
-- The lines are those of the order. Where several orders share a package, the package is the change order: the lines of all of them
-- hang on it.
--   orders 11 and 12 (package 5) → lines of 11 and 12 under record 5.
-- Packages of three-tier projects have no order in the lists, and no lines here.
-- 01-500.L is code 01-500 with type L.

with demo_projects as (

    select id from source.projects where is_demo

),

contracts as (

    select id, deleted_at from source.work_order_contracts
    union all
    select id, deleted_at from source.purchase_order_contracts
    union all
    select id, deleted_at from source.prime_contracts

),

listed as (

    select id, _key, project_id, contract_id, legacy_package_id, currency_iso_code, created_at, updated_at,
        count(*) over (partition by legacy_package_id, contract_id) as orders_in_package
    from source.commitment_change_orders

    union all

    select id, _key, project_id, contract_id, legacy_package_id, currency_iso_code, created_at, updated_at,
        count(*) over (partition by legacy_package_id, contract_id) as orders_in_package
    from source.prime_change_orders

),

packages as (

    select id, _key, contract_id from source.change_order_packages where deleted_at is null

),

orders as (

    select listed.id, listed.project_id, listed.contract_id, listed.currency_iso_code, listed.created_at, listed.updated_at,
        case when packages.id is not null and listed.orders_in_package > 1 then packages._key else listed._key end as record_id
    from listed
    left join packages on listed.legacy_package_id = packages.id and listed.contract_id = packages.contract_id

),

lines as (

    select _key, change_order_id, flat_code, amount from source.commitment_change_order_lines
    union all
    select _key, change_order_id, flat_code, amount from source.prime_change_order_lines

)

select
    lines._key as record_id,
    orders.created_at,
    orders.updated_at,
    orders.record_id as change_order_id,
    nullif(split_part(lines.flat_code, '.', -2), '') as cost_code,
    case when strpos(lines.flat_code, '.') > 0 then nullif(split_part(lines.flat_code, '.', -1), '') end as cost_type,
    lines.amount,
    orders.currency_iso_code as currency
from lines
inner join orders on lines.change_order_id = orders.id
left anti join demo_projects on orders.project_id = demo_projects.id
left anti join (select id from contracts where deleted_at is not null) as deleted_contracts on orders.contract_id = deleted_contracts.id
