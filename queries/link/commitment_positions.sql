-- title:    What commitments came to and what was billed on them by the accounting date
-- entity:   commitments
-- question: How much of each subcontract and order was agreed and invoiced by then, on each side?
-- grain:    one row per side and commitment that was agreed by the date; the void, rejected and pending apart
-- columns:
--   side               pm or erp
--   source             the connection
--   record_id          that side's record id
--   item_id            PM's record id of the linked group, else its own
--   project_id         PM's record id of the project (of several that are one ERP project the first), else the ERP's
--   number             the number people use
--   vendor_id          that side's record id of the vendor
--   title              title as written
--   is_closed          takes no more by the moment
--   is_undated         its sum is that of the moment: nobody tells by which change orders it came about
--   currency           of the amounts
--   revised_amount     original sum and change orders that count by the date (link.change_order_positions)
--   invoiced_amount    gross of what was billed on it by the date, retainage included
--   invoiced_after_amount gross of what was billed on it since
--   untold_count       invoices that do not tell their gross amount: invoiced is too low then
-- A commitment counts from the day that it was signed, else approved; one whose approval nobody dated counts from its entry, else from the day
-- of the commitment that it is linked to; what nobody dated at all counts.

with clock as (

    select accounting_date from meta.clock

),

changes as (

    -- In another currency than the commitment's they are no part of its sum.
    select side, contract_id, currency, sum(amount) as amount
    from link.change_order_positions
    where kind = 'commitment' and is_counted
    group by side, contract_id, currency

),

invoiced as (

    select 'pm' as side, invoices.source, invoices.commitment_id,
        sum(case when coalesce(invoices.invoice_date, invoices.period_end) > clock.accounting_date then 0 else invoices.gross_amount end) as amount,
        sum(case when coalesce(invoices.invoice_date, invoices.period_end) > clock.accounting_date then invoices.gross_amount else 0 end) as later,
        count(*) - count(invoices.gross_amount) as untold_count
    from pm.vendor_invoices as invoices
    cross join clock
    where invoices.approval_status in ('approved', 'closed')
    group by invoices.source, invoices.commitment_id

    union all

    select 'erp' as side, bills.source, bills.commitment_id,
        sum(case when bills.invoice_date > clock.accounting_date then 0 else bills.gross_amount end) as amount,
        sum(case when bills.invoice_date > clock.accounting_date then bills.gross_amount else 0 end) as later,
        count(*) - count(bills.gross_amount) as untold_count
    from erp.vendor_invoices as bills
    cross join clock
    where bills.approval_status in ('approved', 'closed')
    group by bills.source, bills.commitment_id

),

groups as (

    select sides.side, case sides.side when 'pm' then links.pm_id else links.erp_id end as record_id, min(links.group_id) as group_id
    from link.commitments as links
    cross join (values ('pm'), ('erp')) as sides (side)
    group by sides.side, case sides.side when 'pm' then links.pm_id else links.erp_id end

),

commitments as (

    select 'pm' as side, orders.*, coalesce(joined.project_id, orders.project_id) as job_id,
        orders.original_amount is null or setting_list_contains('not_mapped', 'pm.change_orders') or
            setting_list_contains('not_mapped', 'pm.change_orders.commitment') or
            coalesce(setting_list_contains('not_mapped', orders.source || '.change_orders.commitment'), false) as is_revised
    from pm.commitments as orders
    left join shared.joined_projects as joined on joined.pm_id = orders.project_id
    union all
    select 'erp' as side, orders.*, coalesce(jobs.project_id, orders.project_id) as job_id,
        orders.original_amount is null or setting_list_contains('not_mapped', 'erp.change_orders') or
            setting_list_contains('not_mapped', 'erp.change_orders.commitment') or
            coalesce(setting_list_contains('not_mapped', orders.source || '.change_orders.commitment'), false) as is_revised
    from erp.commitments as orders
    left join link.erp_projects as jobs on jobs.erp_id = orders.project_id and jobs.source = orders.source

),

dated as (

    select
        commitments.*,
        coalesce(groups.group_id, commitments.record_id) as item_id,
        coalesce(
            commitments.executed_on,
            case when commitments.approved_at_basis in ('source', 'observed') then firm_day(commitments.approved_at) end,
            firm_day(commitments.created_at)
        ) as own_date
    from commitments
    left join groups on groups.side = commitments.side and groups.record_id = commitments.record_id
    where commitments.approval_status in ('approved', 'closed')

),

-- An ERP that dates no order: what PM signed in January was not agreed in December, whatever the ERP does not say.
placed as (

    select dated.*, coalesce(own_date, max(own_date) over (partition by item_id)) as counted_on from dated

)

select
    commitments.side, commitments.source, commitments.record_id, commitments.item_id, commitments.job_id as project_id,
    commitments.number, commitments.vendor_id, commitments.title,
    commitments.approval_status = 'closed' as is_closed, commitments.is_revised and commitments.revised_amount is not null as is_undated,
    coalesce(commitments.currency, setting_text('currency')) as currency,
    cast(case when commitments.is_revised and commitments.revised_amount is not null then commitments.revised_amount
        else commitments.original_amount + coalesce(changes.amount, 0) end as decimal(18,2)) as revised_amount,
    cast(coalesce(invoiced.amount, 0) as decimal(18,2)) as invoiced_amount,
    cast(coalesce(invoiced.later, 0) as decimal(18,2)) as invoiced_after_amount,
    coalesce(invoiced.untold_count, 0) as untold_count
from placed as commitments
left join changes on changes.side = commitments.side and changes.contract_id = commitments.record_id and
    changes.currency = coalesce(commitments.currency, setting_text('currency'))
left join invoiced on invoiced.side = commitments.side and invoiced.source = commitments.source and invoiced.commitment_id = commitments.record_id
cross join clock
where coalesce(commitments.counted_on <= clock.accounting_date, true)
