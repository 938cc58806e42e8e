-- title:    The figures of the year-end schedules
-- question: What do all schedules come to, at this date, as it was known at this moment?
-- grain:    one row per figure and currency; one without a currency where nothing is told
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
--   amount             the sum; null where the schedule could not be told
-- sources:  what was believed at one moment about another date is asked with as_of, which takes both:
--           select * from as_of('audit.key_figures', '2026-01-15', '2025-12-31')
--           Contracts, estimates and earned revenue leave out jobs that lack one of them (audit.wip_schedule names them): the status is partial then.

with items as (

    select 'ap_aging' as view_name, 1 as position, 'payables' as figure, currency, open_amount as amount, false as is_gap from link.payable_items
    union all
    select 'retainage_payable', 2, 'payables_retainage', currency, retainage_amount, false from link.payable_items
    union all
    select 'ar_aging', 3, 'receivables', currency, open_amount, false from link.receivable_items
    union all
    select 'retainage_receivable', 4, 'receivables_retainage', currency, retainage_amount, false from link.receivable_items
    union all
    select 'wip_schedule', 5, 'contracts', currency, contract_amount, contract_amount is null from link.wip_figures
    union all
    select 'wip_schedule', 6, 'estimated_cost', currency, estimated_cost, estimated_cost is null from link.wip_figures
    union all
    select 'wip_schedule', 7, 'cost_to_date', currency, cost_to_date, false from link.wip_figures
    union all
    select 'wip_schedule', 8, 'billed_to_date', currency, billed_to_date, unbilled_count > 0 from link.wip_figures
    union all
    select 'wip_schedule', 9, 'earned_revenue', currency, earned_revenue, gap is not null from link.wip_figures
    union all
    select 'wip_schedule', 10, 'underbilled', currency, underbilled_amount, gap is not null from link.wip_figures
    union all
    select 'wip_schedule', 11, 'overbilled', currency, overbilled_amount, gap is not null from link.wip_figures
    union all
    select 'wip_schedule', 12, 'loss_provision', currency, loss_provision, gap is not null from link.wip_figures
    union all
    select 'wip_schedule', 13, 'backlog', currency, contract_amount - earned_revenue, gap is not null from link.wip_figures
    union all
    select 'open_commitments', 14, 'open_commitments', currency, open_amount, false from audit.open_commitments where currency is not null

),

sums as (

    select view_name, position, figure, currency, sum(amount) as amount, bool_or(is_gap) as is_gap
    from items
    group by view_name, position, figure, currency

),

figures (view_name, position, figure) as (

    values ('ap_aging', 1, 'payables'), ('retainage_payable', 2, 'payables_retainage'), ('ar_aging', 3, 'receivables'),
        ('retainage_receivable', 4, 'receivables_retainage'), ('wip_schedule', 5, 'contracts'), ('wip_schedule', 6, 'estimated_cost'),
        ('wip_schedule', 7, 'cost_to_date'), ('wip_schedule', 8, 'billed_to_date'), ('wip_schedule', 9, 'earned_revenue'),
        ('wip_schedule', 10, 'underbilled'), ('wip_schedule', 11, 'overbilled'), ('wip_schedule', 12, 'loss_provision'),
        ('wip_schedule', 13, 'backlog'), ('open_commitments', 14, 'open_commitments')

)

select
    coalesce(clock.pin, 'not pinned') as pin,
    clock.accounting_date,
    clock.observed_at as known_at,
    figures.position,
    figures.figure,
    figures.view_name,
    case when grounds.status = 'complete' and sums.is_gap then 'partial' else grounds.status end as status,
    sums.currency,
    cast(case when grounds.status in ('complete', 'partial') then sums.amount end as decimal(18,2)) as amount
from figures
inner join link.audit_grounds as grounds on grounds.view_name = figures.view_name and grounds.project_id is null
cross join meta.clock
left join sums on sums.position = figures.position
