-- title: Vista contracts
-- grain: one contract of a company
-- statuses: 0, 1, 2, 3
-- Pending, open, soft-closed, closed. A contract may have several jobs: its project is the one of its own number, or else its only one.

with jobs as (

    select jc_co, trim(contract) as contract, count(*) as job_count, min(trim(job)) as job,
        min(case when normalize_number(trim(job)) = normalize_number(trim(contract)) then trim(job) end) as own_job
    from source.jobs
    where nullif(trim(contract), '') is not null
    group by jc_co, trim(contract)

),

masks as (

    select coalesce(nullif(substr(max(regexp_replace(trim(input_mask), '[0-9]+[LRlr][Nn]?', '', 'g')), 1, 1), ''), '-') as separator
    from source.input_masks
    where lower(trim(datatype)) = 'bcontract'

)

select
    concat(contracts.jc_co, '|', trim(contracts.contract)) as record_id,
    rtrim(
        regexp_replace(trim(contracts.contract), concat(' *[', masks.separator, '] *'), masks.separator, 'g'), concat(masks.separator, ' ')
    ) as number,
    cast(contracts.jc_co as varchar) || '|' || coalesce(jobs.own_job, case when jobs.job_count = 1 then jobs.job end) as project_id,
    concat(contracts.cust_group, '|', contracts.customer) as customer_id,
    coalesce(firm_status('contracts', cast(contracts.contract_status as varchar)), case contracts.contract_status
        when 0 then 'draft'
        when 1 then 'approved'
        when 2 then 'closed'
        when 3 then 'closed'
        else 'pending'
    end) as approval_status,
    contracts.orig_contract_amt as original_amount,
    contracts.contract_amt - contracts.orig_contract_amt as approved_change_amount,
    contracts.contract_amt as revised_amount,
    contracts.retainage_pct * 100 as retainage_percent
from source.contracts as contracts
cross join masks
left join jobs on jobs.jc_co = contracts.jc_co and jobs.contract = trim(contracts.contract)
where contracts.customer is not null
