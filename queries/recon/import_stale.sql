-- title:    Imports and exports that stand still
-- check:    L2
-- entity:   payments
-- by_entity: payments, change_orders, vendor_invoices
-- scope:    firm
-- version:  3
-- risk:     none: the records' own checks carry the money
-- question: Is the nightly import, or the export, dead?
-- grain:    one row per PM and ERP connection, entity and direction of which nothing crossed lately
-- parameters: import_stale_hours = 36
-- fix:      Look at the connector's log and its service account; then run it by hand.
-- columns:
--   source_entity      entity of the canonical model
--   direction          pm_to_erp or erp_to_pm
--   pm_source          the PM connection
--   erp_source         the ERP connection
--   late_count         records of the last two weeks that should have crossed
--   oldest_at          the oldest of them, UTC

with moved as (

    -- Only payments of linked bills come back to PM. One counts as mirrored when PM shows as much paid on the invoice as the ERP does.
    -- A part of an invoice cannot come back where PM tells only whether it is paid.
    select
        'payments' as source_entity,
        'erp_to_pm' as direction,
        invoices.source as pm_source,
        payments.source as erp_source,
        end_of_day(payments.payment_date) as moved_at,
        bool_and(
            settlements.paid_amount + settlements.allocated_amount >=
                coalesce(settlements.erp_paid_amount, 0) - setting_decimal('amount_tolerance')
        ) as is_mirrored
    from erp.payments
    inner join erp.payment_applications as applications on applications.payment_id = payments.record_id
    inner join link.vendor_invoices as links on links.erp_id = applications.invoice_id
    inner join pm.vendor_invoices as invoices on invoices.record_id = links.pm_id
    inner join link.vendor_invoice_settlements as settlements on settlements.pm_id = links.pm_id
    where
        payments.direction = 'disbursement' and payments.status = 'paid' and
        not (settlements.erp_verdict = 'partly' and (settlements.erp_paid_amount is distinct from settlements.erp_settled_amount))
    group by payments.record_id, payments.payment_date, payments.source, invoices.source

    union all

    select 'change_orders' as source_entity, 'pm_to_erp' as direction, orders.source, coalesce(jobs.erp_source, books_of(orders.source)),
        orders.approved_at as moved_at, links.pm_id is not null as is_mirrored
    from pm.change_orders as orders
    left join (select distinct pm_id from link.change_orders) as links on links.pm_id = orders.record_id
    left join shared.joined_projects as jobs on jobs.pm_id = orders.project_id
    where orders.approval_status = 'approved' and not setting_list_contains('not_mapped', 'erp.change_orders.' || coalesce(orders.kind, '')) and
        not coalesce(setting_list_contains('not_mapped', jobs.erp_source || '.change_orders.' || orders.kind), false)

    union all

    select 'vendor_invoices' as source_entity, 'pm_to_erp' as direction, invoices.source, coalesce(jobs.erp_source, books_of(invoices.source)),
        invoices.approved_at as moved_at, links.pm_id is not null as is_mirrored
    from pm.vendor_invoices as invoices
    left join (select distinct pm_id from link.vendor_invoices) as links on links.pm_id = invoices.record_id
    left join shared.joined_projects as jobs on jobs.pm_id = invoices.project_id
    where invoices.approval_status = 'approved' and coalesce(invoices.net_amount, 1) <> 0

),

-- One record alone may be stuck for reasons of its own: three and none across is a connector that does nothing. What crossed an hour
-- ago has crossed: it proves that somebody is awake, though it could not be late yet.
-- Each two connections have a connector of their own.
late as (

    select
        moved.source_entity,
        moved.direction,
        moved.pm_source,
        moved.erp_source,
        count(*) over (partition by moved.source_entity, moved.direction) as connector_count,
        count(case when moved.is_late then 1 end) as late_count,
        count(case when moved.is_mirrored then 1 end) as mirrored_count,
        min(case when moved.is_late then moved.moved_at end) as oldest_at
    from (
        select moved.*, to_unixtime(clock.observed_at) - to_unixtime(moved.moved_at) > setting_integer('import_stale_hours') * 3600 as is_late
        from moved
        cross join meta.clock
        where to_unixtime(clock.observed_at) - to_unixtime(moved.moved_at) <= 14 * 86400
    ) as moved
    -- Which of several ERPs a project would go to that none of them has is not known: J1 tells of it.
    where moved.erp_source is not null or moved.pm_source is null
    group by moved.source_entity, moved.direction, moved.pm_source, moved.erp_source

)

select
    'L2:' || key_of(pm_source, key_of(erp_source, source_entity)) || ':' || direction as exception_key,
    cast(null as varchar) as project_id,
    cast(null as varchar) as project_number,
    cast(null as varchar) as pm_id,
    cast(null as varchar) as erp_id,
    replace(source_entity, '_', ' ') as label,
    'none of ' || cast(late_count as varchar) || ' ' || replace(source_entity, '_', ' ') || ' of the last two weeks has crossed from ' ||
        case
            when connector_count > 1 and direction = 'pm_to_erp' then pm_source || ' to ' || erp_source
            when connector_count > 1 then erp_source || ' to ' || pm_source
            when direction = 'pm_to_erp' then 'PM to the ERP'
            else 'the ERP to PM'
        end as detail,
    cast(null as varchar) as pm_value,
    cast(null as varchar) as erp_value,
    cast(0 as decimal(18,2)) as amount_at_risk,
    setting_text('currency') as currency,
    oldest_at as occurred_at,
    'unknown' as cause,
    cast(null as varchar) as explained_by,
    source_entity as entity,
    case direction when 'pm_to_erp' then 'pm' else 'erp' end as record_owner,
    case direction when 'pm_to_erp' then 'pm' else 'erp' end as fix_side,
    source_entity,
    direction,
    pm_source,
    erp_source,
    late_count,
    oldest_at
from late
where mirrored_count = 0 and late_count >= 3
