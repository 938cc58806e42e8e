-- title:    What a job was worth, cost and billed by the accounting date
-- question: What goes into each job's line of the WIP schedule?
-- grain:    one row per job and currency
-- columns:
--   project_id         PM's record id of the project (of several that are one ERP project the first), else the ERP's
--   currency           of the amounts
--   contract_amount    C: PM's contract sum at the date, else the ERP's
--   contract_source    pm or erp
--   original_contract  the original sum, PM's, else the ERP's
--   original_cost      the original budget of the cost, PM's, else the ERP's
--   contract_difference PM less ERP; null where only one side tells
--   is_undated         the contract's sum is that of the moment: nobody tells by which change orders it came about
--   estimated_cost     E: see link.wip_estimates; a closed job's is all that it cost, what is dated after the date as well; never less than what
--                      it cost so far
--   estimate_source    where it comes from
--   is_overrun         the estimate told was less than the cost to date
--   cost_to_date       K: the ERP's project transactions dated up to the date
--   uninstalled_amount U: materials stored and not installed, as far as the ERP has their cost; never more than the cost to date
--   is_stored_beyond   PM has more of them than the job has cost
--   billed_to_date     B: the ERP's released owner invoices, retainage included; deposits are no billing of work
--   pending_amount     change orders that are priced and not agreed
--   is_shared          several ERP connections have a job of this key, and its figures are those of all
--   unbilled_count     released owner invoices that do not tell their gross amount: billed is too low then

with jobs as (

    select project_id, bool_and(projects.approval_status = 'closed') as is_closed, count(*) > count(distinct jobs.erp_id) as is_shared
    from link.erp_projects as jobs
    inner join erp.projects on projects.record_id = jobs.erp_id and projects.source = jobs.source
    group by project_id

),

-- Stored materials are cost in the ERP only where a bill of the ERP holds them that is released, and dated by the date as they are.
stored as (

    select invoices.project_id, invoices.currency, invoices.stored_materials_amount - coalesce(unsynced.gross_amount, 0) as amount
    from pm.vendor_invoices as invoices
    inner join (
        select distinct links.pm_id
        from link.vendor_invoices as links
        inner join erp.vendor_invoices as bills on bills.record_id = links.erp_id
        cross join meta.clock
        where bills.approval_status in ('approved', 'closed') and coalesce(bills.invoice_date <= clock.accounting_date, true)
    ) as billed on billed.pm_id = invoices.record_id
    left join link.unsynced_materials as unsynced on unsynced.invoice_id = invoices.record_id
    cross join meta.clock
    where
        invoices.approval_status in ('approved', 'closed') and
        coalesce(coalesce(invoices.period_end, invoices.invoice_date) <= clock.accounting_date, true)

),

facts as (

    select case when coalesce(costs.cost_date <= clock.accounting_date, true) then 'cost' else 'later cost' end as fact,
        coalesce(links.project_id, costs.project_id) as project_id, costs.currency, costs.amount
    from erp.job_costs as costs
    left join link.erp_projects as links on links.erp_id = costs.project_id and links.source = costs.source
    cross join meta.clock

    union all

    select 'billed' as fact, coalesce(links.project_id, invoices.project_id) as project_id, invoices.currency, invoices.gross_amount
    from erp.owner_invoices as invoices
    left join link.erp_projects as links on links.erp_id = invoices.project_id and links.source = invoices.source
    cross join meta.clock
    where
        invoices.approval_status in ('approved', 'closed') and (invoices.kind is distinct from 'prepayment') and
        invoices.project_id is not null and coalesce(invoices.billing_date <= clock.accounting_date, true)

    union all

    select 'stored' as fact, coalesce(joined.project_id, stored.project_id) as project_id, stored.currency, stored.amount
    from stored
    left join shared.joined_projects as joined on joined.pm_id = stored.project_id

),

sums as (

    select project_id, coalesce(currency, setting_text('currency')) as currency,
        coalesce(sum(case when fact = 'cost' then amount end), 0) as cost,
        coalesce(sum(case when fact in ('cost', 'later cost') then amount end), 0) as whole_cost,
        coalesce(sum(case when fact = 'billed' then amount end), 0) as billed,
        greatest(coalesce(sum(case when fact = 'stored' then amount end), 0), 0) as stored,
        count(case when fact = 'billed' then 1 end) - count(case when fact = 'billed' then amount end) as unbilled_count,
        count(case when fact <> 'later cost' then 1 end) as fact_count
    from facts
    group by project_id, coalesce(currency, setting_text('currency'))

),

-- One reading of each, so full and not a list of keys with a join for each.
positions as (

    select
        coalesce(sums.project_id, contracts.project_id) as project_id,
        coalesce(sums.currency, contracts.currency) as currency,
        coalesce(sums.cost, 0) as cost,
        coalesce(sums.whole_cost, 0) as whole_cost,
        coalesce(sums.billed, 0) as billed,
        coalesce(sums.stored, 0) as stored,
        coalesce(sums.unbilled_count, 0) as unbilled_count,
        contracts.pm_contract, contracts.erp_contract, contracts.pm_original, contracts.erp_original, contracts.pending_amount,
        contracts.pm_undated_count, contracts.erp_undated_count
    from sums
    full join link.wip_contracts as contracts on contracts.project_id = sums.project_id and contracts.currency = sums.currency
    -- A contract entered later, of a job that nothing was done on by then, is next year's.
    where coalesce(sums.fact_count, 0) > 0 or not coalesce(contracts.is_later, true)

)

select
    positions.project_id,
    positions.currency,
    coalesce(positions.pm_contract, positions.erp_contract) as contract_amount,
    case when positions.pm_contract is not null then 'pm' when positions.erp_contract is not null then 'erp' end as contract_source,
    coalesce(positions.pm_original, positions.erp_original) as original_contract,
    estimates.original_cost,
    cast(positions.pm_contract - positions.erp_contract as decimal(18,2)) as contract_difference,
    coalesce(case when positions.pm_contract is not null then positions.pm_undated_count else positions.erp_undated_count end > 0, false) as is_undated,
    cast(case when jobs.is_closed then positions.whole_cost when estimates.estimated_cost is not null
        then greatest(estimates.estimated_cost, positions.cost) end as decimal(18,2)) as estimated_cost,
    case when jobs.is_closed then 'closed job: its cost' else estimates.estimate_source end as estimate_source,
    coalesce(estimates.estimated_cost < positions.cost and not coalesce(jobs.is_closed, false), false) as is_overrun,
    cast(positions.cost as decimal(18,2)) as cost_to_date,
    cast(least(positions.stored, greatest(positions.cost, 0)) as decimal(18,2)) as uninstalled_amount,
    positions.stored > greatest(positions.cost, 0) as is_stored_beyond,
    cast(positions.billed as decimal(18,2)) as billed_to_date,
    coalesce(positions.pending_amount, 0) as pending_amount,
    coalesce(jobs.is_shared, false) as is_shared,
    positions.unbilled_count
from positions
left join link.wip_estimates as estimates on estimates.project_id = positions.project_id and estimates.currency = positions.currency
left join jobs on jobs.project_id = positions.project_id
