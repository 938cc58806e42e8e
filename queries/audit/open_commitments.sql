-- title:    Open commitments
-- question: How much of the subcontracts and orders that were agreed by the date was still to be billed, in PM and in the ERP?
-- grain:    one row per commitment (linked groups as one); one without a commitment where there is none
-- columns:
--   pin                the pin that is read, or `not pinned`
--   accounting_date    the date of the schedule
--   status             complete, partial (invoices that do not tell their gross amount, connections that share a key), not_evaluated (also: the project was not read in PM) or
--                      not_applicable: read it before the figures
--   reason             why it is not complete
--   project_number     the number people use
--   commitment_number  PM's, else the ERP's
--   title              title as written
--   vendor_name        PM's vendor, else the ERP's
--   standing           open, closed, open_in_pm, open_in_erp (closed on the other side), only_in_pm or only_in_erp
--   currency           of the amounts
--   pm_revised_amount  agreed by the date in PM
--   pm_invoiced_amount gross of approved requisitions by the date
--   pm_open_amount     revised less invoiced; where closed, what was billed after the date: more will not come
--   erp_revised_amount agreed by the date in the ERP
--   erp_invoiced_amount gross of released bills by the date
--   erp_open_amount    as pm_open_amount
--   open_amount        what is to be disclosed: PM's, who owns commitments, else the ERP's; nothing is owed below zero
--   difference         PM's open amount less the ERP's; null on one side alone or in two currencies
--   overbilled_amount  billed beyond what was agreed, on the side where it is more
--   is_undated         a sum is that of the moment: nobody tells by which change orders it came about
-- sources:  revised commitments less invoices to date, by the dates of change orders and documents; ASC 440-10-50 (disclosure of commitments).
--           Between both systems one owns commitments (recon.ownership), the other pays them.

with ground as (

    select project_id, status, reason from link.audit_grounds where view_name = 'open_commitments'

),

positions as (

    select
        positions.*,
        case when is_closed then invoiced_after_amount else revised_amount - invoiced_amount end as open_amount,
        revised_amount - invoiced_amount as remaining,
        case when side = 'pm' then pm_vendors.name else erp_vendors.name end as vendor_name
    from link.commitment_positions as positions
    left join pm.vendors as pm_vendors on
        positions.side = 'pm' and pm_vendors.record_id = positions.vendor_id and pm_vendors.source = positions.source
    left join erp.vendors as erp_vendors on
        positions.side = 'erp' and erp_vendors.record_id = positions.vendor_id and erp_vendors.source = positions.source

),

grouped as (

    select
        item_id,
        coalesce(min(case when side = 'pm' then project_id end), min(project_id)) as project_id,
        coalesce(min(case when side = 'pm' then number end), min(number)) as number,
        coalesce(min(case when side = 'pm' then title end), min(title)) as title,
        coalesce(min(case when side = 'pm' then vendor_name end), min(vendor_name)) as vendor_name,
        currency,
        sum(untold_count) as untold_count,
        count(*) > count(distinct side || ':' || record_id) as is_shared,
        bool_or(is_undated) as is_undated,
        count(case when side = 'pm' then 1 end) as pm_count,
        count(case when side = 'erp' then 1 end) as erp_count,
        coalesce(bool_and(case when side = 'pm' then is_closed end), false) as is_closed_in_pm,
        coalesce(bool_and(case when side = 'erp' then is_closed end), false) as is_closed_in_erp,
        sum(case when side = 'pm' then revised_amount end) as pm_revised, sum(case when side = 'pm' then invoiced_amount end) as pm_invoiced,
        sum(case when side = 'pm' then open_amount end) as pm_open, sum(case when side = 'erp' then revised_amount end) as erp_revised,
        sum(case when side = 'erp' then invoiced_amount end) as erp_invoiced, sum(case when side = 'erp' then open_amount end) as erp_open,
        greatest(-sum(case when side = 'pm' then remaining end), -sum(case when side = 'erp' then remaining end), 0) as overbilled
    from positions
    -- In two currencies they are two rows: nothing is added up.
    group by item_id, currency

)

select
    coalesce(clock.pin, 'not pinned') as pin,
    clock.accounting_date,
    case
        when own.status is not null then own.status
        when firm.status in ('not_evaluated', 'not_applicable') then firm.status
        when grouped.untold_count > 0 or grouped.is_shared then 'partial'
        else 'complete'
    end as status,
    case
        when own.status is not null then own.reason
        when firm.status in ('not_evaluated', 'not_applicable') then firm.reason
        when grouped.is_shared then 'several connections have a commitment of this key'
        when grouped.untold_count > 0 then cast(grouped.untold_count as varchar) || ' invoices do not tell their gross amount'
    end as reason,
    coalesce(projects.number, grouped.project_id) as project_number,
    grouped.number as commitment_number,
    grouped.title,
    grouped.vendor_name,
    case
        when grouped.item_id is null then null
        when grouped.erp_count = 0 then 'only_in_pm'
        when grouped.pm_count = 0 then 'only_in_erp'
        when grouped.is_closed_in_pm and grouped.is_closed_in_erp then 'closed'
        when grouped.is_closed_in_pm then 'open_in_erp'
        when grouped.is_closed_in_erp then 'open_in_pm'
        else 'open'
    end as standing,
    grouped.currency,
    cast(grouped.pm_revised as decimal(18,2)) as pm_revised_amount,
    cast(grouped.pm_invoiced as decimal(18,2)) as pm_invoiced_amount,
    cast(grouped.pm_open as decimal(18,2)) as pm_open_amount,
    cast(grouped.erp_revised as decimal(18,2)) as erp_revised_amount,
    cast(grouped.erp_invoiced as decimal(18,2)) as erp_invoiced_amount,
    cast(grouped.erp_open as decimal(18,2)) as erp_open_amount,
    cast(case when grouped.item_id is not null then greatest(coalesce(grouped.pm_open, grouped.erp_open), 0) end as decimal(18,2)) as open_amount,
    cast(grouped.pm_open - grouped.erp_open as decimal(18,2)) as difference,
    cast(grouped.overbilled as decimal(18,2)) as overbilled_amount,
    grouped.is_undated
from ground as firm
cross join meta.clock
left join grouped on true
left join ground as own on own.project_id = grouped.project_id
left join pm.projects on projects.record_id = grouped.project_id
where firm.project_id is null
