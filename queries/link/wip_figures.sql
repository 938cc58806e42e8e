-- title:    Earned revenue of jobs by cost-to-cost
-- question: How far is each job, what has it earned, and what is it worth when it is done?
-- grain:    one row per job and currency
-- columns:
--   project_id         as in link.wip_positions; so are the columns up to pending_amount
--   currency           of the amounts
--   contract_amount    C
--   contract_source    pm or erp
--   original_profit    the original contract less the original budget: the margin that was bid; null without one of them
--   contract_difference PM less ERP
--   is_undated         the contract's sum is that of the moment
--   estimated_cost     E
--   estimate_source    where E comes from
--   is_overrun         the estimate told was less than the cost to date
--   cost_to_date       K
--   uninstalled_amount U
--   is_stored_beyond   PM has more of them than the job has cost
--   billed_to_date     B
--   pending_amount     change orders that are priced and not agreed
--   unbilled_count     owner invoices without a gross amount
--   percent_complete   p = (K − U) / (E − U), 50 = fifty percent; null without an estimate
--   earned_revenue     R = p × (C − U) + U, from the unrounded p
--   profit_to_date     R − K
--   profit_at_completion C − E
--   underbilled_amount R − B where more was earned
--   overbilled_amount  B − R where more was billed
--   loss_provision     (E − C) less the loss that R − K holds already, where E > C
--   gap                what is missing for a figure
-- sources:  ASC 606-10-25-31 to 37 (input method, cost-to-cost), 606-10-55-21 (uninstalled materials earn their cost and no margin).

with measured as (

    select
        positions.*,
        -- Nothing to be done is done; an estimate of nothing is none.
        nullif(estimated_cost - uninstalled_amount, 0) as cost_basis
    from link.wip_positions as positions

),

earned as (

    select
        measured.*,
        cast((cost_to_date - uninstalled_amount) * 100 / cost_basis as decimal(18,6)) as percent_complete,
        cast(
            (cost_to_date - uninstalled_amount) * (contract_amount - uninstalled_amount) / cost_basis + uninstalled_amount as decimal(18,2)
        ) as earned_revenue
    from measured

)

select
    project_id,
    currency,
    contract_amount,
    contract_source,
    cast(original_contract - original_cost as decimal(18,2)) as original_profit,
    contract_difference,
    is_undated,
    estimated_cost,
    estimate_source,
    is_overrun,
    cost_to_date,
    uninstalled_amount,
    is_stored_beyond,
    billed_to_date,
    pending_amount,
    unbilled_count,
    percent_complete,
    earned_revenue,
    cast(earned_revenue - cost_to_date as decimal(18,2)) as profit_to_date,
    cast(contract_amount - estimated_cost as decimal(18,2)) as profit_at_completion,
    -- Null where nothing was earned that could be known: greatest() would make a zero of it.
    cast(case when earned_revenue is not null then greatest(earned_revenue - billed_to_date, 0) end as decimal(18,2)) as underbilled_amount,
    cast(case when earned_revenue is not null then greatest(billed_to_date - earned_revenue, 0) end as decimal(18,2)) as overbilled_amount,
    cast(
        case when earned_revenue is not null
            then greatest(greatest(estimated_cost - contract_amount, 0) + least(earned_revenue - cost_to_date, 0), 0) end as decimal(18,2)
    ) as loss_provision,
    case
        when is_shared then 'several ERP connections have a job of this key'
        when contract_amount is null then 'no contract sum in ' || currency || ' is told'
        when estimated_cost is null then 'no estimate or budget of the cost in ' || currency || ' is told'
        when cost_basis is null then 'the estimated cost is zero'
        when unbilled_count > 0 then cast(unbilled_count as varchar) || ' owner invoices do not tell their gross amount'
    end as gap
from earned
