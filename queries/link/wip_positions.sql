-- title:    What a job was worth, cost and billed by the accounting date
-- question: What goes into each job's line of the WIP schedule?
-- grain:    one row per job and currency
-- columns:
--   project_id         PM's record id of the project (of several that are one ERP project the first), else the ERP's
--   currency           of the amounts
--   contract_amount    C: PM's contract sum at the date, else the ERP's
--   contract_source    pm or erp
--   contract_difference PM less ERP; null where only one side tells
--   estimated_cost     E: see link.wip_estimates; a closed job's is what it cost; never less than what it cost so far
--   estimate_source    where it comes from
--   is_overrun         the estimate told was less than the cost to date
--   cost_to_date       K: the ERP's project transactions dated up to the date
--   uninstalled_amount U: materials stored and not installed, as far as the ERP has their cost
--   billed_to_date     B: the ERP's released owner invoices, retainage included; deposits are no billing of work
--   pending_amount     change orders that are priced and not agreed
--   unbilled_count     released owner invoices that do not tell their gross amount: billed is too low then

with jobs as (

    select project_id, bool_and(projects.approval_status = 'closed') as is_closed
    from link.erp_projects as jobs
    inner join erp.projects on projects.record_id = jobs.erp_id
    group by project_id

),

-- Stored materials are cost in the ERP only where a bill of the ERP holds them.
stored as (

    select invoices.project_id, invoices.currency, invoices.stored_materials_amount - coalesce(unsynced.gross_amount, 0) as amount
    from pm.vendor_invoices as invoices
    inner join (select distinct pm_id from link.vendor_invoices) as linked on linked.pm_id = invoices.record_id
    left join link.unsynced_materials as unsynced on unsynced.invoice_id = invoices.record_id
    cross join meta.clock
    where
        invoices.approval_status in ('approved', 'closed') and
        coalesce(coalesce(invoices.period_end, invoices.invoice_date) <= clock.accounting_date, true)

),

facts as (

    select 'cost' as fact, coalesce(links.project_id, costs.project_id) as project_id, costs.currency, costs.amount
    from erp.job_costs as costs
    left join link.erp_projects as links on links.erp_id = costs.project_id
    cross join meta.clock
    where coalesce(costs.cost_date <= clock.accounting_date, true)

    union all

    select 'billed' as fact, coalesce(links.project_id, invoices.project_id) as project_id, invoices.currency, invoices.gross_amount
    from erp.owner_invoices as invoices
    left join link.erp_projects as links on links.erp_id = invoices.project_id
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
        coalesce(sum(case when fact = 'cost' then amount end), 0) as cost, coalesce(sum(case when fact = 'billed' then amount end), 0) as billed,
        greatest(coalesce(sum(case when fact = 'stored' then amount end), 0), 0) as stored,
        count(case when fact = 'billed' then 1 end) - count(case when fact = 'billed' then amount end) as unbilled_count
    from facts
    group by project_id, coalesce(currency, setting_text('currency'))

),

keys as (

    select project_id, currency from sums union select project_id, currency from link.wip_contracts

)

select
    keys.project_id,
    keys.currency,
    coalesce(contracts.pm_contract, contracts.erp_contract) as contract_amount,
    case when contracts.pm_contract is not null then 'pm' when contracts.erp_contract is not null then 'erp' end as contract_source,
    cast(contracts.pm_contract - contracts.erp_contract as decimal(18,2)) as contract_difference,
    cast(case when jobs.is_closed then coalesce(sums.cost, 0) when estimates.estimated_cost is not null
        then greatest(estimates.estimated_cost, coalesce(sums.cost, 0)) end as decimal(18,2)) as estimated_cost,
    case when jobs.is_closed then 'closed job: cost to date' else estimates.estimate_source end as estimate_source,
    coalesce(estimates.estimated_cost < sums.cost and not coalesce(jobs.is_closed, false), false) as is_overrun,
    cast(coalesce(sums.cost, 0) as decimal(18,2)) as cost_to_date,
    cast(coalesce(sums.stored, 0) as decimal(18,2)) as uninstalled_amount,
    cast(coalesce(sums.billed, 0) as decimal(18,2)) as billed_to_date,
    coalesce(contracts.pending_amount, 0) as pending_amount,
    coalesce(sums.unbilled_count, 0) as unbilled_count
from keys
left join sums on sums.project_id = keys.project_id and sums.currency = keys.currency
left join link.wip_contracts as contracts on contracts.project_id = keys.project_id and contracts.currency = keys.currency
left join link.wip_estimates as estimates on estimates.project_id = keys.project_id and estimates.currency = keys.currency
left join jobs on jobs.project_id = keys.project_id
