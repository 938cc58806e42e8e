-- title: FOUNDATION change orders
-- grain: one change of a job's contract, or of a purchase order or subcontract
-- kinds: prime, commitment
-- statuses: A
-- A change of a job that changes its cost alone is one of its budget, not of its contract.
-- Of status letters only A is known: approved. The others are the firm's own ([status.<source>.job_changes] and
-- [status.<source>.purchase_order_changes]) and pending until it says what they mean.

select
    concat(trim(job_no), '|', trim(change_no)) as record_id,
    'prime' as kind,
    trim(change_no) as number,
    normalize_number(trim(change_no)) as number_key,
    trim(job_no) as project_id,
    trim(job_no) as contract_id,
    coalesce(firm_status('job_changes', status), case upper(trim(status)) when 'A' then 'approved' else 'pending' end) as approval_status,
    tot_income_adj as amount
from source.job_changes
where coalesce(tot_income_adj, 0) <> 0 or coalesce(tot_cost_adj, 0) = 0

union all

select
    concat(trim(changes.order_no), '|', trim(changes.change_no)) as record_id,
    'commitment' as kind,
    trim(changes.change_no) as number,
    normalize_number(trim(changes.change_no)) as number_key,
    nullif(trim(orders.job_no), '') as project_id,
    trim(changes.order_no) as contract_id,
    coalesce(firm_status('purchase_order_changes', changes.status), case upper(trim(changes.status)) when 'A' then 'approved' else 'pending' end)
        as approval_status,
    changes.amount
from source.purchase_order_changes as changes
left join source.purchase_orders as orders on trim(orders.order_no) = trim(changes.order_no)
