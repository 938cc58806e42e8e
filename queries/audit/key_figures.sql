-- title:    The figures of the year-end schedules
-- question: What do all schedules come to, at this date, as it was known at this moment?
-- grain:    one row per figure and currency; one without a currency where the schedule could not be told
-- columns:
--   pin                the pin that is read, or `not pinned`
--   accounting_date    the date that the figures are of
--   known_at           the commit that they were known by, its observed_at, UTC
--   position           place of the figure
--   figure             payables, payables_retainage, receivables, receivables_retainage, contracts, estimated_cost, cost_to_date, billed_to_date,
--                      earned_revenue, underbilled, overbilled, loss_provision, backlog, open_commitments
--   view_name          the schedule that it is the sum of
--   status             complete, partial, not_evaluated or not_applicable: read it before the amount
--   currency           of the amount
--   amount             the sum, 0.00 where a schedule that could be told has no rows; null where it could not be told
-- sources:  what was believed at one moment about another date is asked with as_of, which takes both:
--           select * from as_of('audit.key_figures', '2026-01-15', '2025-12-31')
--           Contracts, estimates and earned revenue leave out jobs that lack one of them (audit.wip_schedule names them): the status is partial then.

with figures (view_name, position, figure) as (

    values ('ap_aging', 1, 'payables'), ('retainage_payable', 2, 'payables_retainage'), ('ar_aging', 3, 'receivables'),
        ('retainage_receivable', 4, 'receivables_retainage'), ('wip_schedule', 5, 'contracts'), ('wip_schedule', 6, 'estimated_cost'),
        ('wip_schedule', 7, 'cost_to_date'), ('wip_schedule', 8, 'billed_to_date'), ('wip_schedule', 9, 'earned_revenue'),
        ('wip_schedule', 10, 'underbilled'), ('wip_schedule', 11, 'overbilled'), ('wip_schedule', 12, 'loss_provision'),
        ('wip_schedule', 13, 'backlog'), ('open_commitments', 14, 'open_commitments')

),

-- Each schedule is read once, and its figures become rows afterwards.
payables as (

    select currency, sum(open_amount) as open_amount, sum(retainage_amount) as retainage_amount from link.payable_items group by currency

),

receivables as (

    select currency, sum(open_amount) as open_amount, sum(retainage_amount) as retainage_amount from link.receivable_items group by currency

),

jobs as (

    select
        currency,
        sum(contract_amount) as contracts, bool_or(contract_amount is null) as lacks_contract,
        sum(estimated_cost) as estimated_cost, bool_or(estimated_cost is null) as lacks_estimate,
        sum(cost_to_date) as cost_to_date,
        sum(billed_to_date) as billed_to_date, bool_or(unbilled_count > 0) as lacks_billing,
        sum(earned_revenue) as earned_revenue, sum(underbilled_amount) as underbilled, sum(overbilled_amount) as overbilled,
        sum(loss_provision) as loss_provision, sum(contract_amount - earned_revenue) as backlog, bool_or(gap is not null) as lacks_any
    from link.wip_figures
    group by currency

),

commitments as (

    select currency, sum(open_amount) as amount, bool_or(status = 'partial') as is_gap
    from audit.open_commitments
    where currency is not null
    group by currency

),

sums as (

    select position, currency, case position when 1 then open_amount else retainage_amount end as amount, false as is_gap
    from payables
    cross join figures
    where position in (1, 2)

    union all

    select position, currency, case position when 3 then open_amount else retainage_amount end, false
    from receivables
    cross join figures
    where position in (3, 4)

    union all

    select
        position,
        currency,
        case position
            when 5 then contracts when 6 then estimated_cost when 7 then cost_to_date when 8 then billed_to_date when 9 then earned_revenue
            when 10 then underbilled when 11 then overbilled when 12 then loss_provision else backlog
        end,
        case position when 5 then lacks_contract when 6 then lacks_estimate when 7 then false when 8 then lacks_billing else lacks_any end
    from jobs
    cross join figures
    where position between 5 and 13

    union all

    select 14, currency, amount, is_gap from commitments

)

select
    coalesce(clock.pin, 'not pinned') as pin,
    clock.accounting_date,
    clock.observed_at as known_at,
    figures.position,
    figures.figure,
    figures.view_name,
    case when grounds.status = 'complete' and sums.is_gap then 'partial' else grounds.status end as status,
    case when grounds.status in ('complete', 'partial') then coalesce(sums.currency, setting_text('currency')) else sums.currency end as currency,
    cast(case when grounds.status in ('complete', 'partial') then case when sums.position is null then 0 else sums.amount end end as decimal(18,2))
        as amount
from figures
inner join link.audit_grounds as grounds on grounds.view_name = figures.view_name and grounds.project_id is null
cross join meta.clock
left join sums on sums.position = figures.position
