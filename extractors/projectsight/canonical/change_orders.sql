-- title: ProjectSight change orders of prime contracts and subcontracts
-- grain: one change order on one contract that is not deleted
-- statuses: Draft, New, In Preparation, Pending, Pending Approval, Pending Owner Approval, Open, Submitted, Sent, Issued, In Review,
-- statuses: Under Review, Revise and Resubmit, In Progress, On Hold, Awaiting Approval, Out for Signature, Approved, Approved as Noted,
-- statuses: Approved with Comments, Executed, Fully Executed, Signed, Paid, Rejected, Declined, Denied, Disapproved, Not Approved, Void,
-- statuses: Voided, Cancelled, Canceled, Withdrawn, Superseded, Closed, Complete, Completed, Final, Finalized, Terminated, No Charge
-- Potential change orders and requests are the tiers below and are no change orders yet. Both kinds count their ids apart.
-- One that counts in the budget is approved whatever its state is called; that of a prime contract tells no such flag.
-- An order that is not decided may show no approved amount: then what its items apply is its amount, else it is not known.
-- Both parties have approved what they executed: the day dates the approval.

with item_sums as (

    select portfolio_id, project_id, change_order_id, sum(cost_applied_amount) as amount
    from source.subcontract_change_order_items
    where not coalesce(deleted, false)
    group by portfolio_id, project_id, change_order_id

),

orders as (

    select 'commitment' as kind, orders.portfolio_id, orders.project_id, 'S' || orders.change_order_id as id, orders.contract_id,
        orders.erp_code, orders.erp_integration_status, orders.erp_status_message, orders.when_created, orders.last_modified,
        orders.created_by, orders.sco_number as number, orders.description,
        firm_status('subcontract_change_orders', orders.status) as firm_status, lower(trim(orders.status)) as word,
        orders.is_approved_for_budget, orders.executed_date, orders.approved_amount, item_sums.amount as applied_amount,
        orders.approved_days
    from source.subcontract_change_orders as orders
    left join item_sums on
        item_sums.portfolio_id = orders.portfolio_id and item_sums.project_id = orders.project_id and
        item_sums.change_order_id = orders.change_order_id
    where not coalesce(orders.deleted, false)

    union all

    select 'prime' as kind, portfolio_id, project_id, 'P' || change_order_id as id, contract_id, erp_code, erp_integration_status,
        erp_status_message, when_created, last_modified, created_by, pcco_number as number, description,
        firm_status('prime_contract_change_orders', status) as firm_status, lower(trim(status)) as word,
        cast(null as boolean) as is_approved_for_budget, executed_date, approved_amount, cast(null as decimal(24, 2)) as applied_amount,
        approved_days
    from source.prime_contract_change_orders
    where not coalesce(deleted, false)

),

decided as (

    select orders.*,
        coalesce(firm_status, case
            when word in ('void', 'voided', 'cancelled', 'canceled', 'withdrawn', 'superseded') then 'void'
            when word in ('rejected', 'declined', 'denied', 'disapproved', 'not approved') then 'rejected'
            when word in ('closed', 'complete', 'completed', 'final', 'finalized', 'terminated', 'no charge') then 'closed'
            when word in ('draft', 'new', 'in preparation') then 'draft'
            when word in ('approved', 'approved as noted', 'approved with comments', 'executed', 'fully executed', 'signed', 'paid')
                then 'approved'
            when is_approved_for_budget then 'approved'
            else 'pending'
        end) as approval_status
    from orders

)

select
    portfolio_id || '|' || project_id || '|' || id as record_id,
    nullif(trim(erp_code), '') as linked_id,
    when_created as created_at, last_modified as updated_at, created_by,
    nullif(trim(erp_integration_status), '') as sync_status, nullif(trim(erp_status_message), '') as sync_error,
    kind,
    nullif(trim(number), '') as number, normalize_number(nullif(trim(number), '')) as number_key,
    nullif(trim(erp_code), '') as external_reference,
    portfolio_id || '|' || project_id as project_id,
    portfolio_id || '|' || project_id || '|C' || contract_id as contract_id,
    description as title,
    approval_status,
    case when approval_status = 'approved' then end_of_day(executed_date) end as approved_at,
    case when approval_status = 'approved' and executed_date is not null then 'source' end as approved_at_basis,
    case
        when approval_status in ('approved', 'closed') then approved_amount
        else coalesce(nullif(approved_amount, 0), applied_amount)
    end as amount,
    cast(approved_days as bigint) as schedule_impact_days
from decided
