-- title:    What the previous pin believed of its period, and what is known of it now
-- question: How far did the figures of the period that was closed last move since, and in which schedule?
-- grain:    one row per figure and currency; one that says so where no period before the date is pinned
-- columns:
--   pin                the pin that is read, or `not pinned`
--   accounting_date    the date of the session: its previous pin is looked at
--   status             compared, partial (one of both leaves out what could not be told: audit.key_figures), not_evaluated (a side could not be
--                      told, or there is no earlier pin) or not_applicable: read it before the difference
--   reason             why it could not be compared
--   closed_as          the previous pin
--   period_end         the date that both figures are of
--   figure             as in audit.key_figures
--   currency           of the amounts
--   believed_amount    what the pin believed of the period's end
--   known_amount       what is known of the same date at the session's moment
--   difference         known less believed: what a restatement, or this year's catch-up, has to explain (audit.late_changes)
-- sources:  audit.key_figures read twice: as of the pin, and as of the session's moment with the pin's period end for the accounting date.
--           Estimates have no date of their own: those of the moment stand for the period then, so that earned revenue moves with them (ASC
--           250-10-45-17: a change in estimate is this period's, no restatement).

with previous as (

    select pin, accounting_date as period_end from as_of('meta.clock', 'previous pin')

),

compared as (

    select
        coalesce(now.position, before.position) as position,
        coalesce(now.figure, before.figure) as figure,
        coalesce(now.currency, before.currency) as currency,
        before.amount as believed_amount,
        now.amount as known_amount,
        case
            when coalesce(before.status, 'complete') not in ('complete', 'partial') then before.status
            when coalesce(now.status, 'complete') not in ('complete', 'partial') then now.status
            when before.status = 'partial' or now.status = 'partial' then 'partial'
            else 'compared'
        end as status
    from as_of('audit.key_figures', 'previous pin') as before
    full join as_of('audit.key_figures', 'previous period') as now on
        now.figure = before.figure and coalesce(now.currency, '') = coalesce(before.currency, '')

)

select
    coalesce(clock.pin, 'not pinned') as pin,
    clock.accounting_date,
    coalesce(compared.status, 'not_evaluated') as status,
    case
        when previous.pin is null then 'no period before the accounting date is pinned'
        when compared.status = 'partial' then 'audit.key_figures at one of both moments leaves out what could not be told'
        when compared.status <> 'compared' then 'audit.readiness at one of both moments says what was not read'
    end as reason,
    previous.pin as closed_as,
    previous.period_end,
    compared.figure,
    compared.currency,
    compared.believed_amount,
    compared.known_amount,
    cast(case when compared.status in ('compared', 'partial') then coalesce(compared.known_amount, 0) - coalesce(compared.believed_amount, 0) end as decimal(18,2))
        as difference
from meta.clock
left join previous on true
left join compared on previous.pin is not null
