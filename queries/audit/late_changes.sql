-- title:    Changes to periods that were closed
-- question: Which facts of a pinned or signed period were entered, changed or taken away after it was pinned or signed?
-- grain:    one row per fact of the previous pin's period that counts for another amount now, and per fact of a signed month that was first
--           seen, or entered, after its sign-off; one without a fact where there is none
-- columns:
--   pin                the pin that is read, or `not pinned`
--   accounting_date    the date of the session: its previous pin is looked at
--   status             complete, partial (something was not read, now or by the pin: it is left out), not_evaluated (also: there is neither a pin
--                      before the date nor a sign-off) or not_applicable: read it before the rest
--   reason             why it is not complete
--   closed_as          the pin's name, or `signed 2026-01`
--   period_end         last day of the closed period
--   change             entered, removed (void, deleted, taken back), changed, dated_into or dated_out_of the period
--   side               pm or erp
--   source             the connection
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

    select clock.pin, clock.accounting_date as period_end, grounds.status, grounds.reason
    from as_of('meta.clock', 'previous pin') as clock
    left join as_of('link.audit_grounds', 'previous pin') as grounds on grounds.view_name = 'late_changes' and grounds.project_id is null

),

-- What was not read at one of both moments did not change: nobody looked.
gaps as (

    select side, entity, project_id from meta.readings where status = 'not_evaluated'
    union
    select side, entity, project_id from as_of('meta.readings', 'previous pin') where status = 'not_evaluated'

),

-- Of a signed month: what the sign-off could not have seen. Payments have neither a first sight nor a moment of entry.
known as (

    select facts.*, signoffs.month, coalesce(coalesce(seen.first_seen_at, facts.entered_at) > signoffs.observed_at, false) as is_unsigned
    from audit.dated_facts as facts
    left join (select month, max(observed_at) as observed_at from meta.signoffs group by month) as signoffs on
        signoffs.month = cast(date_trunc('month', facts.dated) as date)
    left join system.record_statuses as seen on
        seen.entity = facts.entity and seen.source = facts.source and seen.record_id = facts.record_id

),

both_moments as (

    select
        coalesce(known.side, believed.side) as side, coalesce(known.entity, believed.entity) as entity,
        coalesce(known.record_id, believed.record_id) as record_id,
        coalesce(known.number, believed.number) as number, coalesce(known.project_id, believed.project_id) as project_id,
        coalesce(known.dated, believed.dated) as dated, coalesce(known.currency, believed.currency) as currency,
        coalesce(known.entered_at, believed.entered_at) as entered_at,
        coalesce(known.source, believed.source) as source,
        known.amount, known.retainage_amount, known.month, coalesce(known.is_unsigned, false) as is_unsigned,
        believed.amount as believed_amount, believed.retainage_amount as believed_retainage,
        known.record_id is not null as is_known, believed.record_id is not null as is_believed,
        known.record_id is not null and coalesce(known.dated <= previous.period_end, true) as is_in,
        believed.record_id is not null and coalesce(believed.dated <= previous.period_end, true) as was_in,
        previous.pin, previous.period_end
    from as_of('audit.dated_facts', 'previous pin') as believed
    full join known on
        known.side = believed.side and known.entity = believed.entity and known.source = believed.source and known.record_id = believed.record_id
    left join previous on true

),

-- A fact may be late twice: for the pin, and for its month's sign-off.
found as (

    select
        both_moments.*,
        kinds.kind,
        case when kinds.kind = 'pinned' and was_in then coalesce(believed_amount, 0) else 0 end as amount_before,
        case when is_in or kinds.kind = 'signed' then coalesce(amount, 0) else 0 end as amount_now,
        case when is_in or kinds.kind = 'signed' then coalesce(retainage_amount, 0) else 0 end -
            case when kinds.kind = 'pinned' and was_in then coalesce(believed_retainage, 0) else 0 end as retainage_difference
    from both_moments
    cross join (values ('pinned'), ('signed')) as kinds (kind)
    where case kinds.kind when 'signed' then is_unsigned else pin is not null and (is_in or was_in) end

),

late as (

    select found.*
    from found
    left anti join gaps on
        found.kind = 'pinned' and gaps.side = found.side and gaps.entity = found.entity and
        (gaps.project_id is null or gaps.project_id = found.project_id)
    where found.kind = 'signed' or found.amount_before <> found.amount_now or found.retainage_difference <> 0

),

marks as (

    select (select count(*) from previous) + (select count(*) from meta.signoffs) as mark_count

)

select
    coalesce(clock.pin, 'not pinned') as pin,
    clock.accounting_date,
    case
        when marks.mark_count = 0 then 'not_evaluated'
        when ground.status in ('not_evaluated', 'not_applicable') then ground.status
        when ground.status = 'partial' or coalesce(previous.status, 'complete') <> 'complete' then 'partial'
        else 'complete'
    end as status,
    case
        when marks.mark_count = 0 then 'no period before the accounting date is pinned or signed'
        else coalesce(ground.reason, case when previous.status <> 'complete' then 'at ' || previous.pin || ': ' || previous.reason end)
    end as reason,
    case late.kind when 'pinned' then late.pin when 'signed' then 'signed ' || substr(cast(late.month as varchar), 1, 7) end as closed_as,
    case late.kind when 'pinned' then late.period_end else cast(late.month + interval '1 month' - interval '1 day' as date) end as period_end,
    case
        when late.kind is null then null
        when late.kind = 'signed' or not late.is_believed then 'entered'
        when not late.is_known then 'removed'
        when late.is_in and not late.was_in then 'dated_into'
        when late.was_in and not late.is_in then 'dated_out_of'
        else 'changed'
    end as change,
    late.side, late.source, late.entity, late.record_id, late.number,
    coalesce(pm_projects.number, jobs.project_number, late.project_id) as project_number,
    late.dated,
    cast(late.amount_before as decimal(18,2)) as amount_before,
    cast(late.amount_now as decimal(18,2)) as amount_now,
    cast(late.amount_now - late.amount_before as decimal(18,2)) as difference,
    cast(late.retainage_difference as decimal(18,2)) as retainage_difference,
    case when late.kind is not null then coalesce(late.currency, setting_text('currency')) end as currency,
    late.entered_at
from ground
cross join meta.clock
cross join marks
left join previous on true
left join late on true
left join pm.projects as pm_projects on late.side = 'pm' and pm_projects.record_id = late.project_id and pm_projects.source = late.source
left join link.erp_projects as jobs on late.side = 'erp' and jobs.erp_id = late.project_id and jobs.source = late.source
