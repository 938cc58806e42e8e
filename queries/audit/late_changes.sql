-- title:    Changes to periods that were closed
-- question: Which facts of a pinned or signed period were entered, changed or taken away after it was pinned or signed?
-- grain:    one row per fact of the previous pin's period that counts for another amount now, and per document of a signed month that was
--           first seen after its sign-off; one without a fact where there is none
-- columns:
--   pin                the pin that is read, or `not pinned`
--   accounting_date    the date of the session: its previous pin is looked at
--   status             complete, not_evaluated (also: there is neither a pin before the date nor a sign-off) or not_applicable
--   reason             why it is not complete
--   closed_as          the pin's name, or `signed 2026-01`
--   period_end         last day of the closed period
--   change             entered, removed (void, deleted, taken back), changed, dated_into or dated_out_of the period
--   side               pm or erp
--   entity             vendor_invoices, owner_invoices, change_orders, payments, job_costs or gl_transactions
--   record_id          that side's record id
--   number             the number people use
--   project_number     the number people use
--   dated              its date now, else as it was
--   amount_before      what it counted for in the period when that was pinned (invoices: net and tax); 0.00 = nothing
--   amount_now         what it counts for in it now
--   difference         now less before
--   retainage_difference what it retains, or releases, now less before
--   currency           of the amounts
--   entered_at         when the source says that it was entered, UTC
-- sources:  the same records read twice, as of the pin and as of the moment; AU-C 560 (subsequent events), prior-period adjustments (ASC 250).
--           Only a fact's own date and amount: a bill that is merely paid did not change. `changes('erp.vendor_invoices', 'FY2025', 'latest')` shows
--           every field; audit.restatements what all of it means for the schedules.

with ground as (

    select status, reason from link.audit_grounds where view_name = 'late_changes' and project_id is null

),

previous as (

    select pin, accounting_date as period_end from as_of('meta.clock', 'previous pin')

),

believed as (

    select facts.*, coalesce(facts.dated <= previous.period_end, true) as is_in
    from as_of('link.dated_facts', 'previous pin') as facts
    cross join previous

),

known as (

    select facts.*, coalesce(facts.dated <= previous.period_end, true) as is_in
    from as_of('link.dated_facts', 'previous period') as facts
    cross join previous

),

compared as (

    select
        coalesce(known.side, believed.side) as side, coalesce(known.entity, believed.entity) as entity,
        coalesce(known.record_id, believed.record_id) as record_id,
        coalesce(known.number, believed.number) as number, coalesce(known.project_id, believed.project_id) as project_id,
        coalesce(known.dated, believed.dated) as dated, coalesce(known.currency, believed.currency) as currency,
        coalesce(known.entered_at, believed.entered_at) as entered_at,
        case when believed.is_in then coalesce(believed.amount, 0) else 0 end as amount_before,
        case when known.is_in then coalesce(known.amount, 0) else 0 end as amount_now,
        case when known.is_in then known.retainage_amount else 0 end - case when believed.is_in then believed.retainage_amount else 0 end
            as retainage_difference,
        case
            when believed.record_id is null then 'entered'
            when known.record_id is null then 'removed'
            when known.is_in and not believed.is_in then 'dated_into'
            when believed.is_in and not known.is_in then 'dated_out_of'
            else 'changed'
        end as change,
        previous.pin as closed_as,
        previous.period_end
    from believed
    full join known on
        known.side = believed.side and known.entity = believed.entity and known.source = believed.source and known.record_id = believed.record_id
    cross join previous

),

-- Of a signed month: what the sign-off could not have seen. Lines and payments have no first sight of their own.
signed as (

    select facts.side, facts.entity, facts.record_id, facts.number, facts.project_id, facts.dated, facts.currency, facts.entered_at,
        cast(0 as decimal(18,2)) as amount_before, facts.amount as amount_now, facts.retainage_amount as retainage_difference, 'entered' as change,
        'signed ' || substr(cast(signoffs.month as varchar), 1, 7) as closed_as,
        cast(signoffs.month + interval '1 month' - interval '1 day' as date) as period_end
    from (select month, max(observed_at) as observed_at from meta.signoffs group by month) as signoffs
    inner join link.dated_facts as facts on cast(date_trunc('month', facts.dated) as date) = signoffs.month
    inner join system.record_statuses as seen on
        seen.entity = facts.entity and seen.source = facts.source and seen.record_id = facts.record_id and seen.first_seen_at > signoffs.observed_at

),

found as (

    select * from compared where amount_before <> amount_now or retainage_difference <> 0
    union all by name
    select * from signed

),

marks as (

    select (select count(*) from previous) + (select count(*) from meta.signoffs) as mark_count

)

select
    coalesce(clock.pin, 'not pinned') as pin,
    clock.accounting_date,
    case when marks.mark_count = 0 then 'not_evaluated' else ground.status end as status,
    case when marks.mark_count = 0 then 'no period before the accounting date is pinned or signed' else ground.reason end as reason,
    found.closed_as, found.period_end, found.change, found.side, found.entity, found.record_id, found.number,
    coalesce(pm_projects.number, jobs.project_number, found.project_id) as project_number,
    found.dated,
    cast(found.amount_before as decimal(18,2)) as amount_before,
    cast(found.amount_now as decimal(18,2)) as amount_now,
    cast(found.amount_now - found.amount_before as decimal(18,2)) as difference,
    cast(found.retainage_difference as decimal(18,2)) as retainage_difference,
    coalesce(found.currency, setting_text('currency')) as currency,
    found.entered_at
from ground
cross join meta.clock
cross join marks
left join found on true
left join pm.projects as pm_projects on found.side = 'pm' and pm_projects.record_id = found.project_id
left join link.erp_projects as jobs on found.side = 'erp' and jobs.erp_id = found.project_id
