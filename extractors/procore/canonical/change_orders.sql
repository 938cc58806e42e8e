-- title: Procore change orders, prime and commitment
-- grain: one change order on one contract, at the tier that carries the ERP's key
-- statuses: draft, pricing, not_pricing, pending, revised, proceeding, not_proceeding, pending_billable, no_charge, approved, rejected, void
-- The ERP's key is on the package, not on the change order: package.id = legacy_package_id, on the same contract.
--   order 11 (package 5), package 5 (origin_id CO-0007) → 11, linked to CO-0007.
-- Several orders in one package (two tiers): the package is what the ERP gets, so it is the change order.
--   orders 11 and 12 (package 5) → one row, record 5, with the package's amount.
-- Three tiers: the order lists leave such contracts out; their packages are the change orders. A contract that has any listed order
-- is not one of them, so that a package whose order does not name it is never counted beside that order.
-- Proceeding work is not approved money: it stays pending. No charge is decided and changes nothing: closed.
-- reviewed_at dates the approval only while the order is approved; a rejected one was reviewed as well.

with demo_projects as (

    select id from source.projects where is_demo

),

contracts as (

    select id, 'commitment' as kind, deleted_at from source.work_order_contracts
    union all
    select id, 'commitment' as kind, deleted_at from source.purchase_order_contracts
    union all
    select id, 'prime' as kind, deleted_at from source.prime_contracts

),

listed as (

    select 'commitment' as kind, _key, project_id, contract_id, legacy_package_id, number, title, status,
        firm_status('commitment_change_orders', status) as firm_status, grand_total, schedule_impact_amount,
        currency_iso_code, created_by, reviewed_by, reviewed_at, created_at, updated_at,
        count(*) over (partition by legacy_package_id, contract_id) as orders_in_package
    from source.commitment_change_orders

    union all

    select 'prime' as kind, _key, project_id, contract_id, legacy_package_id, number, title, status,
        firm_status('prime_change_orders', status) as firm_status, grand_total, schedule_impact_amount,
        currency_iso_code, created_by, reviewed_by, reviewed_at, created_at, updated_at,
        count(*) over (partition by legacy_package_id, contract_id) as orders_in_package
    from source.prime_change_orders

),

packages as (

    select *, firm_status('change_order_packages', status) as firm_status
    from source.change_order_packages
    where deleted_at is null

),

orders as (

    select listed.kind, listed._key, listed.project_id, listed.contract_id, listed.number, listed.title, listed.status,
        listed.firm_status, listed.grand_total, listed.schedule_impact_amount, listed.currency_iso_code, listed.created_by,
        listed.reviewed_by, listed.reviewed_at, listed.created_at, listed.updated_at, packages.origin_id, packages.origin_code
    from listed
    left join packages on listed.legacy_package_id = packages.id and listed.contract_id = packages.contract_id
    where packages.id is null or listed.orders_in_package = 1

),

shared_packages as (

    select packages.*
    from packages
    left semi join listed
        on packages.id = listed.legacy_package_id and packages.contract_id = listed.contract_id and listed.orders_in_package > 1

),

third_tier_packages as (

    select packages.*
    from packages
    left anti join listed on packages.contract_id = listed.contract_id

),

package_orders as (

    select contracts.kind, units._key, units.project_id, units.contract_id, units.number, units.title, units.status,
        units.firm_status, units.grand_total, cast(null as bigint) as schedule_impact_amount, units.currency_iso_code,
        arrow_cast(null, 'Utf8') as created_by, arrow_cast(null, 'Utf8') as reviewed_by, units.reviewed_at, units.created_at,
        units.updated_at, units.origin_id, units.origin_code
    from (select * from shared_packages union all select * from third_tier_packages) as units
    left join contracts on units.contract_id = contracts.id

),

statuses as (

    select units.*,
        coalesce(units.firm_status, case lower(trim(units.status))
            when 'draft' then 'draft'
            when 'approved' then 'approved'
            when 'no_charge' then 'closed'
            when 'rejected' then 'rejected'
            when 'void' then 'void'
            else 'pending'
        end) as approval_status
    from (select * from orders union all select * from package_orders) as units

)

select
    statuses._key as record_id,
    coalesce(nullif(trim(statuses.origin_id), ''), nullif(trim(statuses.origin_code), '')) as linked_id,
    statuses.created_at, statuses.updated_at, statuses.created_by,
    case when statuses.approval_status = 'approved' then statuses.reviewed_by end as approved_by,
    statuses.kind,
    nullif(trim(statuses.number), '') as number, normalize_number(nullif(trim(statuses.number), '')) as number_key,
    nullif(trim(statuses.origin_code), '') as external_reference,
    cast(statuses.project_id as varchar) as project_id, cast(statuses.contract_id as varchar) as contract_id,
    statuses.title,
    statuses.approval_status,
    case when statuses.approval_status = 'approved' then statuses.reviewed_at end as approved_at,
    case when statuses.approval_status = 'approved' and statuses.reviewed_at is not null then 'source' end as approved_at_basis,
    statuses.grand_total as amount, statuses.schedule_impact_amount as schedule_impact_days,
    statuses.currency_iso_code as currency
from statuses
left anti join demo_projects on statuses.project_id = demo_projects.id
left anti join (select id from contracts where deleted_at is not null) as deleted_contracts on statuses.contract_id = deleted_contracts.id
