-- title:    Change orders pending in PM for too long
-- check:    O2
-- entity:   change_orders
-- scope:    project
-- record_owner: pm
-- fix_side: pm
-- version:  2
-- risk:     the change order's amount, without its sign
-- question: Which change orders has nobody decided?
-- grain:    one row per PM change order
-- parameters: change_order_pending_days = 30
-- requires: pm.change_orders.approval_status
-- fix:      Have the change order approved, rejected or voided in PM.
-- columns:
--   kind               prime or commitment
--   number             the number people use
--   title              title as written
--   amount             change of the contract sum
--   pending_since      when it was entered, else last changed, UTC
--   days_pending       whole days from then to the commit's observed_at
--   verdict            null; not_evaluated where PM tells no date

with dated as (

    select
        change_orders.*,
        coalesce(change_orders.created_at, change_orders.updated_at) as pending_since,
        (to_unixtime(clock.observed_at) - to_unixtime(coalesce(change_orders.created_at, change_orders.updated_at))) / 86400
            as days_pending
    from pm.change_orders as change_orders
    cross join meta.clock
    where coalesce(change_orders.approval_status, 'pending') = 'pending'

)

select
    'O2:' || dated.record_id as exception_key,
    dated.project_id,
    projects.number as project_number,
    dated.record_id as pm_id,
    cast(null as varchar) as erp_id,
    coalesce(dated.number, dated.record_id) as label,
    'change order ' || coalesce(dated.number, dated.record_id) || ' over ' || coalesce(cast(dated.amount as varchar), 'no amount') ||
        ' is pending in PM' || coalesce(' for ' || cast(dated.days_pending as varchar) || ' days', ', and nobody knows since when') as detail,
    'pending' as pm_value,
    cast(null as varchar) as erp_value,
    cast(abs(dated.amount) as decimal(18,2)) as amount_at_risk,
    coalesce(dated.currency, setting_text('currency')) as currency,
    dated.pending_since as occurred_at,
    'unknown' as cause,
    cast(null as varchar) as explained_by,
    dated.kind,
    dated.number,
    dated.title,
    dated.amount,
    dated.pending_since,
    dated.days_pending,
    case when dated.days_pending is null then 'not_evaluated' end as verdict
from dated
left join pm.projects on projects.record_id = dated.project_id
where dated.days_pending > setting_integer('change_order_pending_days') or dated.days_pending is null
