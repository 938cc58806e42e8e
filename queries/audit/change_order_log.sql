-- title:    Change orders, with their cut-off
-- question: Which change orders were approved, pending or entered by the date, and which of them does the ERP count in another period than PM?
-- grain:    one row per change order and currency (linked groups as one), void and rejected ones apart; one without where there is none
-- columns:
--   pin                the pin that is read, or `not pinned`
--   accounting_date    T, the date of the cut-off
--   status             complete, partial (connections that share a key), not_evaluated (also: the project was not read in PM) or
--                      not_applicable: read it before the rest
--   reason             why it is not complete
--   project_number     the number people use
--   kind               prime or commitment
--   contract_number    PM's, else the ERP's
--   number             PM's number, else the ERP's
--   title              title as written
--   currency           of the amounts
--   pm_status          PM's status at the moment that is read
--   pm_approved_on     PM's approval; pending and approved later both count as pending at T
--   pm_amount          its amount in PM
--   erp_number         the ERP's number
--   erp_status         the ERP's status
--   erp_counted_on     the day from which the ERP's contract holds it
--   erp_date_basis     approved, entered, first_seen (by an extraction: it may be older) or none
--   erp_amount         its amount in the ERP
--   cut_off            agrees; amount_differs; not_in_erp, in_erp_after, held_in_erp (approved in PM by T, not in the ERP's contract by T);
--                      in_erp_before, only_in_erp (the reverse); pending (priced, not agreed: variable consideration); closed (decided in PM,
--                      and changes nothing); not_dated
--   cut_off_amount     PM's contract at T less the ERP's, by this change order
-- sources:  approvals on both sides by the firm's days; ASC 606-10-25-10 to 13 (contract modifications; approved but unpriced ones).

with ground as (

    select project_id, status, reason from link.audit_grounds where view_name = 'change_order_log'

),

grouped as (

    select
        orders.item_id,
        orders.currency,
        coalesce(min(case when side = 'pm' then project_id end), min(project_id)) as project_id,
        min(kind) as kind,
        count(*) > count(distinct side || ':' || record_id) as is_shared,
        coalesce(min(case when side = 'pm' then contract_number end), min(contract_number)) as contract_number,
        coalesce(min(case when side = 'pm' then number end), min(number)) as number,
        coalesce(min(case when side = 'pm' then title end), min(title)) as title,
        min(case when side = 'pm' then approval_status end) as pm_status,
        max(case when side = 'pm' then counted_on end) as pm_approved_on,
        sum(case when side = 'pm' then amount end) as pm_amount,
        min(case when side = 'erp' then number end) as erp_number,
        min(case when side = 'erp' then approval_status end) as erp_status,
        max(case when side = 'erp' then counted_on end) as erp_counted_on,
        max(case when side = 'erp' then date_basis end) as erp_date_basis,
        sum(case when side = 'erp' then amount end) as erp_amount,
        coalesce(sum(case when side = 'pm' and is_counted then amount end), 0) as pm_counted,
        coalesce(sum(case when side = 'erp' and is_counted then amount end), 0) as erp_counted,
        coalesce(bool_or(case when side = 'pm' then is_counted end), false) as is_in_pm,
        coalesce(bool_or(case when side = 'erp' then is_counted end), false) as is_in_erp,
        bool_or(counted_on > clock.accounting_date and date_basis = 'first_seen') as is_unknown,
        min(case when side = 'pm' then entered_on end) as entered_on
    from link.change_order_positions as orders
    cross join meta.clock
    group by orders.item_id, orders.currency

),

-- What PM entered after the date was not even pending at it, unless the ERP has it already.
known as (

    select grouped.*
    from grouped
    cross join meta.clock
    where is_in_pm or is_in_erp or (erp_status is null or pm_status is not null) and coalesce(entered_on <= clock.accounting_date, true)

)

select
    coalesce(clock.pin, 'not pinned') as pin,
    clock.accounting_date,
    case
        when own.status is not null then own.status
        when firm.status in ('not_evaluated', 'not_applicable') then firm.status
        when known.is_shared then 'partial'
        else 'complete'
    end as status,
    coalesce(
        own.reason,
        case when firm.status in ('not_evaluated', 'not_applicable') then firm.reason
            when known.is_shared then 'several connections have a change order of this key' end
    ) as reason,
    coalesce(projects.number, known.project_id) as project_number,
    known.kind, known.contract_number, known.number, known.title, known.currency,
    known.pm_status, known.pm_approved_on, cast(known.pm_amount as decimal(18,2)) as pm_amount,
    known.erp_number, known.erp_status, known.erp_counted_on, known.erp_date_basis, cast(known.erp_amount as decimal(18,2)) as erp_amount,
    case
        when known.item_id is null then null
        when known.is_unknown then 'not_dated'
        when known.is_in_pm and known.is_in_erp and abs(known.pm_counted - known.erp_counted) <= setting_decimal('amount_tolerance') then 'agrees'
        when known.is_in_pm and known.is_in_erp then 'amount_differs'
        when known.is_in_pm and known.erp_status is null then 'not_in_erp'
        when known.is_in_pm and known.erp_counted_on is null then 'held_in_erp'
        when known.is_in_pm then 'in_erp_after'
        when known.is_in_erp and known.pm_status is null then 'only_in_erp'
        when known.is_in_erp then 'in_erp_before'
        when known.pm_status = 'closed' then 'closed'
        else 'pending'
    end as cut_off,
    cast(known.pm_counted - known.erp_counted as decimal(18,2)) as cut_off_amount
from ground as firm
cross join meta.clock
left join known on true
left join ground as own on own.project_id = known.project_id
left join pm.projects on projects.record_id = known.project_id
where firm.project_id is null
