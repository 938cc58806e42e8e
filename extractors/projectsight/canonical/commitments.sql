-- title: ProjectSight subcontracts and purchase orders
-- grain: one contract with a subcontractor or purchase order that is not deleted
-- statuses: Draft, New, In Preparation, Pending, Pending Approval, Pending Owner Approval, Open, Submitted, Sent, Issued, In Review,
-- statuses: Under Review, Revise and Resubmit, In Progress, On Hold, Awaiting Approval, Out for Signature, Approved, Approved as Noted,
-- statuses: Approved with Comments, Executed, Fully Executed, Signed, Paid, Rejected, Declined, Denied, Disapproved, Not Approved, Void,
-- statuses: Voided, Cancelled, Canceled, Withdrawn, Superseded, Closed, Complete, Completed, Final, Finalized, Terminated, No Charge
-- Contracts and purchase orders count their ids apart: C5 and O5 are two. Prime contracts stand among the contracts: the type tells them
-- apart where it is plain, else IsCommit. What counts in the budget is approved whatever its state is called, unless that says that it is
-- over or only begun. A contract whose type is a purchase may be either in the ERP: its kind is not told.
-- A purchase order is changed by its items: it has no original amount beside its total. Without tax, where items tell.

with -- The firm itself stands on every contract, on either side; who stands there most often is the firm. Where that is a tie: it gives
-- subcontracts and takes prime contracts.
own_companies as (

    select portfolio_id, company_id
    from (
        select portfolio_id, company_id,
            row_number() over (partition by portfolio_id order by count(*) desc, sum(expected) desc, company_id) as place
        from (
            select portfolio_id, from_company_id as company_id, case when is_commit then 1 else 0 end as expected from source.contracts
            union all
            select portfolio_id, to_company_id as company_id, case when is_commit then 0 else 1 end as expected from source.contracts
        ) as sides
        where company_id is not null
        group by portfolio_id, company_id
    ) as ranked
    where place = 1

),

item_sums as (

    select portfolio_id, project_id, po_id, sum(subtotal) as amount
    from source.purchase_order_items
    where not coalesce(deleted, false)
    group by portfolio_id, project_id, po_id

),

contracts as (

    select case when not coalesce(regexp_like(lower(type), 'purchase'), false) then 'subcontract' end as kind,
        portfolio_id, project_id, 'C' || contract_id as id, erp_code, erp_integration_status, erp_status_message, when_created, last_modified,
        created_by, contract_number as number, to_company_id, from_company_id, description,
        firm_status('contracts', status) as firm_status, lower(trim(status)) as word, is_approved_for_budget, executed_date,
        original_value, change_value, revised_value, general_retain_percent,
        coalesce(
            case
                when regexp_like(lower(type), 'prime|owner') and not regexp_like(lower(type), 'sub|purchase') then false
                when regexp_like(lower(type), 'sub|purchase') and not regexp_like(lower(type), 'prime|owner') then true
            end,
            is_commit, true
        ) as is_commitment
    from source.contracts
    where not coalesce(deleted, false)

    union all

    select 'purchase_order' as kind, orders.portfolio_id, orders.project_id, 'O' || orders.po_id as id, orders.erp_code,
        orders.erp_integration_status, orders.erp_status_message, orders.when_created, orders.last_modified, orders.created_by,
        orders.po_number as number, orders.to_company_id, orders.from_company_id, orders.description,
        firm_status('purchase_orders', orders.status) as firm_status, lower(trim(orders.status)) as word, orders.is_approved_for_budget,
        cast(null as date) as executed_date,
        coalesce(
            item_sums.amount - case when orders.is_items_incl_tax then coalesce(orders.tax_total, 0) else 0 end, orders.total_amount
        ) as original_value,
        cast(0 as decimal(24, 2)) as change_value,
        coalesce(
            item_sums.amount - case when orders.is_items_incl_tax then coalesce(orders.tax_total, 0) else 0 end, orders.total_amount
        ) as revised_value,
        cast(null as decimal(18, 6)) as general_retain_percent, true as is_commitment
    from source.purchase_orders as orders
    left join item_sums on
        item_sums.portfolio_id = orders.portfolio_id and item_sums.project_id = orders.project_id and item_sums.po_id = orders.po_id
    where not coalesce(orders.deleted, false)

)

select
    contracts.portfolio_id || '|' || contracts.project_id || '|' || contracts.id as record_id,
    nullif(trim(contracts.erp_code), '') as linked_id,
    contracts.when_created as created_at, contracts.last_modified as updated_at, contracts.created_by,
    nullif(trim(contracts.erp_integration_status), '') as sync_status, nullif(trim(contracts.erp_status_message), '') as sync_error,
    contracts.kind,
    nullif(trim(contracts.number), '') as number, normalize_number(nullif(trim(contracts.number), '')) as number_key,
    nullif(trim(contracts.erp_code), '') as external_reference,
    contracts.portfolio_id || '|' || contracts.project_id as project_id,
    contracts.portfolio_id || '|V' || case
        when own.company_id = contracts.to_company_id then contracts.from_company_id else contracts.to_company_id
    end as vendor_id,
    contracts.description as title,
    coalesce(contracts.firm_status, case
        when contracts.word in ('void', 'voided', 'cancelled', 'canceled', 'withdrawn', 'superseded') then 'void'
        when contracts.word in ('rejected', 'declined', 'denied', 'disapproved', 'not approved') then 'rejected'
        when contracts.word in ('closed', 'complete', 'completed', 'final', 'finalized', 'terminated', 'no charge') then 'closed'
        when contracts.word in ('draft', 'new', 'in preparation') then 'draft'
        when contracts.word in ('approved', 'approved as noted', 'approved with comments', 'executed', 'fully executed', 'signed', 'paid')
            then 'approved'
        when contracts.is_approved_for_budget then 'approved'
        else 'pending'
    end) as approval_status,
    contracts.executed_date as executed_on,
    contracts.original_value as original_amount,
    contracts.change_value as approved_change_amount,
    contracts.revised_value as revised_amount,
    contracts.general_retain_percent as retainage_percent
from contracts
left join own_companies as own on own.portfolio_id = contracts.portfolio_id
where contracts.is_commitment
