-- title: Vista job cost detail
-- grain: one posted cost; estimates, commitments and projections are no cost
-- A cost without a phase stays, with a null code: that is a finding. Old details may have been rolled up: rows of kind RU are what they
-- came to, without documents, and the sums are what they were.
-- The key is the row's own id, which is the last part of what others may store of it.

select
    cast(costs.key_id as varchar) as record_id,
    concat(costs.jc_co, '|', trim(costs.job)) as project_id,
    nullif(rtrim(regexp_replace(trim(costs.phase), ' *([^A-Za-z0-9 ]) *', '\1', 'g'), '-./ '), '') as cost_code,
    coalesce(types.code, cast(costs.cost_type as varchar)) as cost_type,
    costs.actual_date as cost_date,
    costs.actual_cost as amount,
    trim(costs.jc_trans_type) as document_type,
    coalesce(concat('AP|', bills.key_id), concat('JC|', costs.key_id)) as document_id
from source.job_costs as costs
left join shared.cost_types as types on types.phase_group = costs.phase_group and types.cost_type = costs.cost_type
left join source.ap_transactions as bills on bills.ap_co = costs.ap_co and bills.mth = costs.mth and bills.ap_trans = costs.ap_trans
where costs.actual_cost <> 0
