-- title: Acumatica change orders
-- grain: one change order on one contract: a reference is split by (reference, kind, contract)
-- statuses: On Hold, Pending Approval, Rejected, Open, Sent to Owner, Accepted by Owner, Declined by Owner, Cost Budget Released, Canceled, Closed
--   000012 with revenue 500.00 and lines on SC-1 300.00 and SC-2 100.00 → 000012|prime 500.00, 000012|commitment|SC-1 300.00,
--   000012|commitment|SC-2 100.00.
-- Open is approved, not yet released; Closed is released. Both count as ERP records, held and rejected ones too: whether one exists and
-- whether it is released are two questions.
-- A reference with neither revenue nor commitments nor cost is a change of time only: prime, 0.00. One with cost alone moves the
-- project's own budget, and is on no contract.
-- Approved when the last approval of it was given, else on the approval date of the screen, which counts to its end; while it is approved.
-- Headers stand in where the lines of a list did not come: the amount is known, the contract is not.

with orders as (

    select
        *,
        trim(ref_nbr) as reference,
        coalesce(firm_status('change_orders', status), case
            when lower(trim(status)) = 'on hold' then 'draft'
            when lower(trim(status)) in ('rejected', 'declined by owner') then 'rejected'
            when lower(trim(status)) in ('open', 'accepted by owner', 'cost budget released') then 'approved'
            when lower(trim(status)) = 'closed' then 'closed'
            when lower(trim(status)) in ('canceled', 'cancelled') then 'void'
            else 'pending'
        end) as approval_status
    from source.change_orders

),

revenue as (

    select trim(ref_nbr) as reference, sum(amount) as amount from source.change_order_revenue group by 1

),

commitments as (

    select
        trim(ref_nbr) as reference,
        case
            when nullif(trim(po_nbr), '') is null then null
            when lower(trim(po_type)) in ('subcontract', 'rs') then trim(po_nbr)
            else concat(trim(po_type), '|', trim(po_nbr))
        end as contract_id,
        sum(amount) as amount,
        min(nullif(trim(currency_id), '')) as currency
    from source.change_order_commitments
    group by 1, 2

),

parts as (

    select reference, 'commitment' as kind, contract_id, currency, amount, cast(null as bigint) as schedule_impact_days
    from commitments

    union all

    select orders.reference, 'commitment', null, null, orders.commitments_change_total, null
    from orders
    left anti join commitments on orders.reference = commitments.reference
    where coalesce(orders.commitments_change_total, 0) <> 0

    union all

    select orders.reference, 'prime', trim(orders.project_id), null,
        coalesce(revenue.amount, orders.revenue_budget_change_total, 0), orders.contract_time_change_days
    from orders
    left join revenue on orders.reference = revenue.reference
    left join (select distinct trim(ref_nbr) as reference from source.change_order_cost) as costs on orders.reference = costs.reference
    left join (select distinct reference from commitments) as committed on orders.reference = committed.reference
    where
        revenue.reference is not null or
        coalesce(orders.revenue_budget_change_total, 0) <> 0 or
        (costs.reference is null and committed.reference is null and
            coalesce(orders.cost_budget_change_total, 0) = 0 and coalesce(orders.commitments_change_total, 0) = 0)

),

approvals as (

    select trim(ref_nbr) as reference, max(coalesce(nullif(trim(approved_by_name), ''), nullif(trim(approved_by), ''))) as approved_by,
        max(case when date = date_trunc('day', date) then end_of_day(cast(date as date)) else date end) as approved_at
    from source.change_order_approvals
    where lower(trim(status)) = 'approved'
    group by 1

)

select
    concat(parts.reference, '|', parts.kind, case when parts.kind = 'commitment' then concat('|', parts.contract_id) end)
        as record_id,
    orders.last_modified_date_time as updated_at,
    parts.kind,
    orders.reference as number, normalize_number(orders.reference) as number_key,
    nullif(trim(orders.external_ref_nbr), '') as external_reference,
    trim(orders.project_id) as project_id, parts.contract_id,
    orders.description as title,
    orders.approval_status,
    case
        when orders.approval_status in ('approved', 'closed')
            then coalesce(approvals.approved_at, end_of_day(orders.approval_date))
    end as approved_at,
    approvals.approved_by,
    parts.amount,
    parts.schedule_impact_days,
    coalesce(parts.currency, nullif(trim(projects.project_currency), '')) as currency
from parts
inner join orders on parts.reference = orders.reference
left join source.projects as projects on trim(orders.project_id) = trim(projects.project_id)
left join approvals on parts.reference = approvals.reference
