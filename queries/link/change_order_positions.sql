-- title:    Change orders of both sides at the accounting date
-- entity:   change_orders
-- question: Which change orders counted on each side by then, and since when?
-- grain:    one row per side and change order that is neither void nor rejected
-- columns:
--   side               pm or erp
--   record_id          that side's record id
--   item_id            PM's record id of the linked group, else its own
--   project_id         PM's record id of the project (of several that are one ERP project the first), else the ERP's
--   contract_id        that side's record id of the contract that it changes
--   contract_number    its number
--   kind               prime or commitment
--   number             the number people use
--   title              title as written
--   approval_status    as the side has it at the moment
--   currency           of the amount; the contract's where the change order does not tell
--   amount             change of the contract sum
--   entered_on         the day that it was entered, where it is known
--   counted_on         the day of its approval, else of its entry; null while it does not count
--   date_basis         approved, entered, first_seen (an extraction saw it: it may be older) or none
--   is_counted         it moved the contract by the accounting date; what nobody dated counts
-- Days are the firm's: approved on 31 December at 23:30 in Chicago is December's.

with contracts as (

    select 'pm' as side, 'commitment' as kind, source, record_id, number, currency from pm.commitments
    union all
    select 'pm' as side, 'prime' as kind, source, record_id, number, currency from pm.prime_contracts
    union all
    select 'erp' as side, 'commitment' as kind, source, record_id, number, currency from erp.commitments
    union all
    select 'erp' as side, 'prime' as kind, source, record_id, number, currency from erp.prime_contracts

),

groups as (

    select sides.side, case sides.side when 'pm' then links.pm_id else links.erp_id end as record_id, min(links.group_id) as group_id
    from link.change_orders as links
    cross join (values ('pm'), ('erp')) as sides (side)
    group by sides.side, case sides.side when 'pm' then links.pm_id else links.erp_id end

),

-- What moves a contract: approved in PM; in the ERP released (closed), where it knows releasing at all.
orders as (

    select 'pm' as side, orders.*, orders.approval_status = 'approved' as is_approved, coalesce(joined.project_id, orders.project_id) as job_id
    from pm.change_orders as orders
    left join shared.joined_projects as joined on joined.pm_id = orders.project_id

    union all

    select 'erp' as side, orders.*, orders.approval_status = 'closed' or
        orders.approval_status = 'approved' and
        sum(case when orders.approval_status = 'closed' then 1 else 0 end) over (partition by orders.source) = 0 as is_approved,
        coalesce(jobs.project_id, orders.project_id) as job_id
    from erp.change_orders as orders
    left join link.erp_projects as jobs on jobs.erp_id = orders.project_id and jobs.source = orders.source

),

dated as (

    select
        orders.*,
        seen.first_seen_at,
        case
            when orders.approved_at is not null and (orders.approved_at_basis is distinct from 'unknown') then 'approved'
            when orders.created_at is not null then 'entered'
            when seen.first_seen_at is not null then 'first_seen'
            else 'none'
        end as date_basis
    from orders
    left join system.record_statuses as seen on
        seen.entity = 'change_orders' and seen.source = orders.source and seen.record_id = orders.record_id
    where coalesce(orders.approval_status, 'pending') not in ('void', 'rejected')

)

select
    dated.side,
    dated.record_id,
    coalesce(groups.group_id, dated.record_id) as item_id,
    dated.job_id as project_id,
    dated.contract_id,
    contracts.number as contract_number,
    dated.kind,
    dated.number,
    dated.title,
    coalesce(dated.approval_status, 'pending') as approval_status,
    coalesce(dated.currency, contracts.currency, setting_text('currency')) as currency,
    dated.amount,
    firm_day(dated.created_at) as entered_on,
    case when dated.is_approved then firm_day(case dated.date_basis when 'approved' then dated.approved_at
        when 'entered' then dated.created_at when 'first_seen' then dated.first_seen_at end) end as counted_on,
    dated.date_basis,
    dated.is_approved and coalesce(firm_day(case dated.date_basis when 'approved' then dated.approved_at
        when 'entered' then dated.created_at end) <= clock.accounting_date, true) as is_counted
from dated
left join groups on groups.side = dated.side and groups.record_id = dated.record_id
left join contracts on
    contracts.side = dated.side and contracts.kind = dated.kind and contracts.record_id = dated.contract_id and contracts.source = dated.source
cross join meta.clock
