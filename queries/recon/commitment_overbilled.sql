-- title:    Commitments invoiced beyond their sum
-- check:    M5
-- entity:   commitments
-- scope:    project
-- record_owner: pm
-- fix_side: pm
-- version:  1
-- risk:     what was invoiced beyond the revised amount
-- question: Where has more been billed than was ever agreed?
-- grain:    one row per commitment and side
-- parameters: amount_tolerance = 0.01
-- requires: pm.vendor_invoices.gross_amount, erp.vendor_invoices.gross_amount
-- fix:      Find the change order that is missing, or stop the invoice.
-- columns:
--   side               pm or erp
--   number             number on that side
--   revised_amount     original and approved changes on that side
--   invoiced_amount    invoiced to date on that side, gross of retainage
--   excess             invoiced less revised

with pm_billed as (

    select commitment_id, sum(coalesce(gross_amount, net_amount)) as amount
    from pm.vendor_invoices
    where approval_status in ('approved', 'closed')
    group by commitment_id

),

erp_billed as (

    select commitment_id, sum(coalesce(gross_amount, net_amount)) as amount
    from erp.vendor_invoices
    where approval_status in ('approved', 'closed')
    group by commitment_id

),

gaps as (

    select contract_id, sum(amount) as amount, min(exception_key) as exception_key
    from link.change_order_gaps
    where kind = 'commitment'
    group by contract_id

),

linked as (

    select links.erp_id, min(links.pm_id) as pm_id, min(orders.project_id) as project_id
    from link.commitments as links
    inner join pm.commitments as orders on orders.record_id = links.pm_id
    group by links.erp_id

),

both_sides as (

    select 'pm' as side, orders.record_id, orders.record_id as pm_id, cast(null as varchar) as erp_id, orders.number, orders.project_id,
        orders.approval_status, coalesce(orders.revised_amount, orders.original_amount + coalesce(orders.approved_change_amount, 0)) as revised_amount, pm_billed.amount as invoiced_amount, orders.currency
    from pm.commitments as orders
    inner join pm_billed on pm_billed.commitment_id = orders.record_id

    union all

    select 'erp' as side, orders.record_id, linked.pm_id, orders.record_id as erp_id, orders.number,
        coalesce(projects.pm_id, linked.project_id) as project_id, orders.approval_status,
        coalesce(orders.revised_amount, orders.original_amount + coalesce(orders.approved_change_amount, 0)) as revised_amount, erp_billed.amount as invoiced_amount, orders.currency
    from erp.commitments as orders
    inner join erp_billed on erp_billed.commitment_id = orders.record_id
    left join link.erp_projects as projects on projects.erp_id = orders.project_id
    left join linked on linked.erp_id = orders.record_id
    -- One whose lines name several projects has none; PM's counterpart tells.
    where projects.pm_id is not null or linked.pm_id is not null

),

beyond as (

    select *, invoiced_amount - revised_amount as excess
    from both_sides
    where
        invoiced_amount - revised_amount > setting_decimal('amount_tolerance') and
        coalesce(approval_status, 'pending') not in ('void', 'rejected')

)

select
    'M5:' || beyond.side || ':' || beyond.record_id as exception_key,
    beyond.project_id,
    projects.number as project_number,
    beyond.pm_id,
    beyond.erp_id,
    coalesce(beyond.number, beyond.record_id) as label,
    'commitment ' || coalesce(beyond.number, beyond.record_id) || ' is invoiced ' || cast(beyond.invoiced_amount as varchar) || ' of ' ||
        cast(beyond.revised_amount as varchar) || case beyond.side when 'pm' then ' in PM' else ' in the ERP' end as detail,
    case when beyond.side = 'pm' then cast(beyond.invoiced_amount as varchar) end as pm_value,
    case when beyond.side = 'erp' then cast(beyond.invoiced_amount as varchar) end as erp_value,
    cast(beyond.excess as decimal(18,2)) as amount_at_risk,
    coalesce(beyond.currency, setting_text('currency')) as currency,
    cast(null as timestamp with time zone) as occurred_at,
    'unknown' as cause,
    -- The ERP lacks a change order of at least that amount: billed on what PM has approved.
    case when beyond.side = 'erp' and gaps.amount >= beyond.excess - setting_decimal('amount_tolerance') then gaps.exception_key end as explained_by,
    beyond.side as fix_side,
    beyond.side,
    beyond.number,
    beyond.revised_amount,
    cast(beyond.invoiced_amount as decimal(18,2)) as invoiced_amount,
    cast(beyond.excess as decimal(18,2)) as excess
from beyond
left join gaps on gaps.contract_id = beyond.pm_id
left join pm.projects on projects.record_id = beyond.project_id
