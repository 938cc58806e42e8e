-- title:    Change-order money that only one side's contract holds
-- question: Which exception of O1, O3, O4 or O5 accounts for how much of a contract's difference?
-- grain:    one row per exception
-- columns:
--   exception_key      key of the exception that explains
--   kind               prime or commitment
--   contract_id        PM's record id of the contract
--   amount             what PM's contract has more than the ERP's because of it
--   moved_at           when it came to be, UTC

with approved as (

    select record_id, kind, contract_id, amount, coalesce(approved_at, updated_at, created_at) as moved_at
    from pm.change_orders
    where approval_status = 'approved'

),

-- An ERP that has no word for released has released what is approved, as for O5.
groups as (

    select
        groups.*,
        case when groups.erp_status = 'unreleased' and releases.source is null then 'released' else groups.erp_status end as standing
    from link.change_order_groups as groups
    left join erp.change_orders as erp_side on erp_side.record_id = groups.erp_id
    left join (select distinct coalesce(source, '') as source from erp.change_orders where approval_status = 'closed') as releases
        on releases.source = coalesce(erp_side.source, '')

),

linked as (

    select group_id, min(pm_id) as pm_id from link.change_orders group by group_id

),

contracts as (

    select 'commitment' as kind, erp_id, min(pm_id) as pm_id from link.commitments group by erp_id
    union all
    select 'prime' as kind, erp_id, min(pm_id) as pm_id from link.prime_contracts group by erp_id

),

gaps as (

    select 'O1:' || approved.record_id as exception_key, approved.kind, approved.contract_id, approved.amount, approved.moved_at
    from approved
    left anti join link.change_orders as links on links.pm_id = approved.record_id

    union all

    -- Held and unreleased ones have not reached the ERP's contract, void ones have left it: all of PM's amount.
    select
        case when groups.standing = 'released' then 'O3:' else 'O5:' end || groups.group_id as exception_key,
        orders.kind,
        orders.contract_id,
        case
            when groups.standing = 'released' then coalesce(groups.pm_amount, 0) - coalesce(groups.erp_amount, 0)
            else groups.pm_amount
        end as amount,
        groups.occurred_at as moved_at
    from groups
    inner join linked on linked.group_id = groups.group_id
    inner join pm.change_orders as orders on orders.record_id = linked.pm_id
    where groups.pm_status = 'approved'

    union all

    select 'O5:' || groups.group_id as exception_key, orders.kind, orders.contract_id, -groups.erp_amount as amount,
        groups.occurred_at as moved_at
    from groups
    inner join linked on linked.group_id = groups.group_id
    inner join pm.change_orders as orders on orders.record_id = linked.pm_id
    where groups.pm_status <> 'approved' and groups.erp_status in ('released', 'unreleased')

    union all

    select 'O4:' || orders.record_id as exception_key, orders.kind, contracts.pm_id as contract_id, -orders.amount as amount,
        coalesce(orders.created_at, orders.approved_at, orders.updated_at) as moved_at
    from erp.change_orders as orders
    inner join contracts on contracts.kind = orders.kind and contracts.erp_id = orders.contract_id
    left anti join link.change_orders as links on links.erp_id = orders.record_id
    where orders.approval_status in ('approved', 'closed')

)

select
    exception_key,
    kind,
    contract_id,
    cast(amount as decimal(18,2)) as amount,
    moved_at
from gaps
where contract_id is not null and amount <> 0
