-- title:    Contract sums of jobs at the accounting date
-- question: What is each job's contract with its owner worth, by what was approved by then, on each side?
-- grain:    one row per job and currency
-- columns:
--   project_id         PM's record id of the project (of several that are one ERP project the first), else the ERP's
--   currency           of the amounts
--   pm_contract        original sums of PM's approved prime contracts and their change orders approved by the date; null where PM has none
--   erp_contract       the same in the ERP: change orders that it released
--   pm_original        original sums alone
--   erp_original       the same in the ERP
--   pending_amount     PM's prime change orders that were pending at the date, or approved after it: priced, not agreed
--   pm_undated_count   contracts of which PM tells no original sum, or no change order at all: their sum is that of the moment
--   erp_undated_count  the same in the ERP
--   is_later           all contracts of the side that counts were entered after the date
-- Of a contract nobody says when it was signed. One entered after the date is not of the date, unless the job has no other by then: somebody
-- was late to enter it, if there is cost or billing (link.wip_positions).

with told as (

    select 'pm' as side, coalesce(joined.project_id, contracts.project_id) as project_id, contracts.record_id, contracts.currency,
        contracts.original_amount, contracts.revised_amount, contracts.created_at,
        setting_list_contains('not_mapped', 'pm.change_orders') or setting_list_contains('not_mapped', 'pm.change_orders.prime') or
            coalesce(setting_list_contains('not_mapped', contracts.source || '.change_orders.prime'), false) as is_unchanged
    from pm.prime_contracts as contracts
    left join shared.joined_projects as joined on joined.pm_id = contracts.project_id
    where contracts.approval_status in ('approved', 'closed')

    union all

    select 'erp' as side, coalesce(jobs.project_id, contracts.project_id) as project_id, contracts.record_id, contracts.currency,
        contracts.original_amount, contracts.revised_amount, contracts.created_at,
        setting_list_contains('not_mapped', 'erp.change_orders') or setting_list_contains('not_mapped', 'erp.change_orders.prime') or
            coalesce(setting_list_contains('not_mapped', contracts.source || '.change_orders.prime'), false) as is_unchanged
    from erp.prime_contracts as contracts
    left join link.erp_projects as jobs on jobs.erp_id = contracts.project_id and jobs.source = contracts.source
    where contracts.approval_status in ('approved', 'closed')

),

-- Where nobody tells change orders, or what was agreed first, the revised sum is all there is.
contracts as (

    select
        told.*,
        original_amount is null or is_unchanged and revised_amount is not null as is_undated,
        coalesce(firm_day(created_at) <= clock.accounting_date, true) as is_entered,
        bool_or(coalesce(firm_day(created_at) <= clock.accounting_date, true)) over (partition by side, project_id) as has_entered
    from told
    cross join meta.clock

),

facts as (

    select side, 'contract' as fact, project_id, record_id as contract_id, currency,
        case when is_undated then revised_amount else original_amount end as amount, original_amount, is_undated, has_entered
    from contracts
    where is_entered or not has_entered

    union all

    select orders.side, case when orders.is_counted then 'change' else 'pending' end as fact, orders.project_id, orders.contract_id, orders.currency,
        orders.amount, null as original_amount, false as is_undated, null as has_entered
    from link.change_order_positions as orders
    cross join meta.clock
    where
        orders.kind = 'prime' and
        (
            orders.is_counted or
            orders.side = 'pm' and orders.approval_status in ('approved', 'pending') and
            coalesce(orders.entered_on <= clock.accounting_date, true)
        )

),

-- A revised sum holds its change orders already.
parts as (

    select facts.*, fact = 'change' and bool_or(is_undated) over (partition by side, contract_id) as is_held
    from facts

)

-- Change orders without a contract sum are no contract.
select
    project_id,
    coalesce(currency, setting_text('currency')) as currency,
    cast(case when count(case when side = 'pm' and fact = 'contract' then amount end) > 0
        then sum(case when side = 'pm' and fact <> 'pending' then amount end) end as decimal(18,2)) as pm_contract,
    cast(case when count(case when side = 'erp' and fact = 'contract' then amount end) > 0
        then sum(case when side = 'erp' and fact <> 'pending' then amount end) end as decimal(18,2)) as erp_contract,
    cast(sum(case when side = 'pm' then original_amount end) as decimal(18,2)) as pm_original,
    cast(sum(case when side = 'erp' then original_amount end) as decimal(18,2)) as erp_original,
    cast(coalesce(sum(case when fact = 'pending' then amount end), 0) as decimal(18,2)) as pending_amount,
    count(case when side = 'pm' and is_undated and amount is not null then 1 end) as pm_undated_count,
    count(case when side = 'erp' and is_undated and amount is not null then 1 end) as erp_undated_count,
    not coalesce(bool_or(case when side = 'pm' then has_entered end), bool_or(case when side = 'erp' then has_entered end), true) as is_later
from parts
where not is_held
group by project_id, coalesce(currency, setting_text('currency'))
