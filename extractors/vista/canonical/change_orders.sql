-- title: Vista change orders
-- grain: one change order of a subcontract or purchase order, one approved change order of a job's contract, one potential one
-- statuses: subcontract_change_orders.Status, purchase_change_orders.Status, potential_change_orders.Status
-- Project management has change orders first: approved they wait for their interface, interfaced they are in accounting. Those count as
-- closed here (released), where nothing of them waits; entered in accounting itself they have no other record.
--   change order 3 with items 40.00 in accounting and 60.00 waiting → 100.00, approved.
-- Neither approved nor open any more was turned down: a status of the final kind, or pending status 3.
-- An owner's change order that is approved has a number of its own, and names the potential one; before that the potential one stands.
-- Internal ones move the budget and no contract. A firm's status codes go before ([status.<source>.subcontract_change_orders]).

with kinds as (

    select trim(status) as status, upper(trim(code_type)) as code_type from source.pm_statuses

),

posted as (

    select 'SL' as module, sl_co as co, trim(sl) as contract, sl_change_order as number, sum(change_cur_cost) as amount,
        max(nullif(trim(app_change_order), '')) as reference, max(trim(description)) as title, max(coalesce(act_date, posted_date)) as dated
    from source.subcontract_changes
    group by sl_co, trim(sl), sl_change_order

    union all

    select 'PO', po_co, trim(po), poco_num, sum(change_cur_cost), max(nullif(trim(change_order), '')), max(trim(description)),
        max(coalesce(act_date, posted_date))
    from source.purchase_order_changes
    where poco_num is not null
    group by po_co, trim(po), poco_num

),

waiting as (

    select 'SL' as module, sl_co as co, trim(sl) as contract, sub_co as number, sum(amount) as amount
    from source.planned_subcontract_items
    where upper(trim(record_type)) = 'C' and interface_date is null and sub_co is not null
    group by sl_co, trim(sl), sub_co

    union all

    select 'PO', po_co, trim(po), poco_num, sum(amount)
    from source.planned_purchase_items
    where upper(trim(record_type)) = 'C' and interface_date is null and poco_num is not null
    group by po_co, trim(po), poco_num

),

planned as (

    select 'SL' as module, sl_co as co, trim(sl) as contract, sub_co as number, trim(description) as title, nullif(trim(reference), '') as reference,
        trim(status) as status, upper(trim(ready_for_acctg)) = 'Y' as is_ready, date_approved,
        firm_status('subcontract_change_orders', status) as firm_status
    from source.subcontract_change_orders

    union all

    select 'PO', po_co, trim(po), poco_num, trim(description), nullif(trim(reference), ''), trim(status), upper(trim(ready_for_acctg)) = 'Y',
        date_approved, firm_status('purchase_change_orders', status)
    from source.purchase_change_orders

),

orders as (

    select 'SL' as module, sl_co as co, trim(sl) as contract, concat(jc_co, '|', trim(job)) as project_id from source.subcontracts
    union all
    select 'PO', po_co, trim(po), concat(jc_co, '|', trim(job)) from source.purchase_orders

),

named as (

    select module, co, contract, number from posted
    union
    select module, co, contract, number from planned

),

of_orders as (

    select
        concat(named.module, '|', named.co, '|', named.contract, '|', named.number) as record_id, 'commitment' as kind,
        cast(named.number as varchar) as number, coalesce(planned.reference, posted.reference) as reference, orders.project_id,
        concat(named.module, '|', named.co, '|', named.contract) as contract_id, coalesce(planned.title, posted.title) as title,
        coalesce(planned.firm_status, case
            when posted.number is not null and waiting.number is null then 'closed'
            when posted.number is not null or planned.is_ready or planned.date_approved is not null then 'approved'
            when kinds.code_type = 'F' then 'rejected'
            when kinds.code_type = 'B' then 'draft'
            else 'pending'
        end) as approval_status,
        coalesce(planned.date_approved, posted.dated) as approved_on, cast(null as varchar) as approved_by,
        coalesce(posted.amount, 0.00) + coalesce(waiting.amount, 0.00) as amount, cast(null as bigint) as days
    from named
    left join posted on
        posted.module = named.module and posted.co = named.co and posted.contract = named.contract and posted.number = named.number
    left join planned on
        planned.module = named.module and planned.co = named.co and planned.contract = named.contract and planned.number = named.number
    left join waiting on
        waiting.module = named.module and waiting.co = named.co and waiting.contract = named.contract and waiting.number = named.number
    left join orders on orders.module = named.module and orders.co = named.co and orders.contract = named.contract
    left join kinds on kinds.status = planned.status

),

owner_items as (

    select pm_co as co, trim(project) as job, trim(aco) as aco, max(trim(contract)) as contract,
        case when min(trim(pco)) = max(trim(pco)) then nullif(min(trim(pco)), '') end as reference,
        sum(case when interfaced_date is null then approved_amt else 0.00 end) as waiting_amount,
        count(case when interfaced_date is null then 1 end) as waiting_count
    from source.change_order_items
    where nullif(trim(aco), '') is not null
    group by pm_co, trim(project), trim(aco)

),

contract_items as (

    select jc_co as co, trim(job) as job, trim(aco) as aco, sum(contract_amt) as amount
    from source.job_change_order_items
    group by jc_co, trim(job), trim(aco)

),

owner_orders as (

    select jc_co as co, trim(job) as job, trim(aco) as aco, max(trim(contract)) as contract, max(trim(description)) as title, max(approval_date) as approved_on,
        max(nullif(trim(approved_by), '')) as approved_by, max(change_days) as days, max(upper(trim(int_ext))) as int_ext, true as is_posted
    from source.job_change_orders
    group by jc_co, trim(job), trim(aco)

    union all

    select headers.pm_co, trim(headers.project), trim(headers.aco), trim(headers.contract), trim(headers.description), headers.approval_date,
        nullif(trim(headers.approved_by), ''), headers.change_days, upper(trim(headers.int_ext)), false
    from source.approved_change_orders as headers
    left anti join source.job_change_orders as posted on
        posted.jc_co = headers.pm_co and trim(posted.job) = trim(headers.project) and trim(posted.aco) = trim(headers.aco)

),

of_contracts as (

    select
        concat('CO|', orders.co, '|', orders.job, '|', orders.aco) as record_id, 'prime' as kind, orders.aco as number, items.reference,
        concat(orders.co, '|', orders.job) as project_id, concat(orders.co, '|', orders.contract) as contract_id, orders.title,
        case when orders.is_posted and coalesce(items.waiting_count, 0) = 0 then 'closed' else 'approved' end as approval_status,
        orders.approved_on, orders.approved_by, coalesce(amounts.amount, 0.00) + coalesce(items.waiting_amount, 0.00) as amount, orders.days
    from owner_orders as orders
    left join owner_items as items on items.co = orders.co and items.job = orders.job and items.aco = orders.aco
    left join contract_items as amounts on amounts.co = orders.co and amounts.job = orders.job and amounts.aco = orders.aco
    where orders.int_ext is distinct from 'I'

),

open_items as (

    select pm_co as co, trim(project) as job, trim(pco_type) as pco_type, trim(pco) as pco, max(trim(contract)) as contract,
        sum(case when upper(trim(fixed_amount_yn)) = 'Y' then fixed_amount else pending_amount end) as amount, max(approved_by) as approved_by
    from source.change_order_items
    where nullif(trim(aco), '') is null and nullif(trim(pco), '') is not null
    group by pm_co, trim(project), trim(pco_type), trim(pco)

),

potential as (

    select
        concat('PCO|', orders.pm_co, '|', trim(orders.project), '|', trim(orders.pco_type), '|', trim(orders.pco)) as record_id, 'prime' as kind,
        trim(orders.pco) as number, nullif(trim(orders.reference), '') as reference, concat(orders.pm_co, '|', trim(orders.project)) as project_id,
        concat(orders.pm_co, '|', trim(coalesce(orders.contract, items.contract))) as contract_id, trim(orders.description) as title,
        coalesce(firm_status('potential_change_orders', orders.status), case
            when orders.pending_status = 3 then 'rejected'
            when kinds.code_type = 'B' then 'draft'
            else 'pending'
        end) as approval_status,
        cast(null as date) as approved_on, cast(null as varchar) as approved_by, items.amount, cast(null as bigint) as days
    from source.potential_change_orders as orders
    inner join open_items as items on
        items.co = orders.pm_co and items.job = trim(orders.project) and
        items.pco_type = trim(orders.pco_type) and items.pco = trim(orders.pco)
    left join kinds on kinds.status = trim(orders.status)
    where upper(trim(orders.int_ext)) is distinct from 'I'

),

changes as (

    select * from of_orders
    union all
    select * from of_contracts
    union all
    select * from potential

)

select
    record_id,
    kind,
    number,
    normalize_number(number) as number_key,
    reference as external_reference,
    project_id,
    contract_id,
    nullif(title, '') as title,
    approval_status,
    case when approval_status in ('approved', 'closed') then end_of_day(approved_on) end as approved_at,
    approved_by,
    amount,
    days as schedule_impact_days
from changes
