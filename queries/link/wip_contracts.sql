-- title:    Contract sums of jobs at the accounting date
-- question: What is each job's contract with its owner worth, by what was approved by then, on each side?
-- grain:    one row per job and currency
-- columns:
--   project_id         PM's record id of the project (of several that are one ERP project the first), else the ERP's
--   currency           of the amounts
--   pm_contract        original sums of PM's approved prime contracts and their change orders approved by the date; null where PM has none
--   erp_contract       the same in the ERP: change orders that it released
--   pending_amount     PM's prime change orders that were pending at the date, or approved after it: priced, not agreed

with facts as (

    select 'pm' as side, 'contract' as fact, coalesce(joined.project_id, contracts.project_id) as project_id, contracts.currency,
        contracts.original_amount as amount
    from pm.prime_contracts as contracts
    left join shared.joined_projects as joined on joined.pm_id = contracts.project_id
    where contracts.approval_status in ('approved', 'closed')

    union all

    select 'erp' as side, 'contract' as fact, coalesce(jobs.project_id, contracts.project_id) as project_id, contracts.currency,
        contracts.original_amount as amount
    from erp.prime_contracts as contracts
    left join link.erp_projects as jobs on jobs.erp_id = contracts.project_id
    where contracts.approval_status in ('approved', 'closed')

    union all

    select orders.side, case when orders.is_counted then 'change' else 'pending' end as fact, orders.project_id, orders.currency, orders.amount
    from link.change_order_positions as orders
    cross join meta.clock
    where
        orders.kind = 'prime' and
        (
            orders.is_counted or
            orders.side = 'pm' and orders.approval_status in ('approved', 'pending') and
            coalesce(orders.entered_on <= clock.accounting_date, true)
        )

)

-- Change orders without a contract sum are no contract.
select
    project_id,
    coalesce(currency, setting_text('currency')) as currency,
    cast(case when count(case when side = 'pm' and fact = 'contract' then amount end) > 0
        then sum(case when side = 'pm' and fact <> 'pending' then amount end) end as decimal(18,2)) as pm_contract,
    cast(case when count(case when side = 'erp' and fact = 'contract' then amount end) > 0
        then sum(case when side = 'erp' and fact <> 'pending' then amount end) end as decimal(18,2)) as erp_contract,
    cast(coalesce(sum(case when fact = 'pending' then amount end), 0) as decimal(18,2)) as pending_amount
from facts
group by project_id, coalesce(currency, setting_text('currency'))
