-- title:    Balances of the ERP's control accounts at the accounting date
-- grain:    one row per connection that tells its ledger and control (ap, ar, retainage_payable, retainage_receivable) that has accounts

with controls as (

    select
        source,
        account,
        case
            when control_of = 'ap' or setting_list_contains('ap_accounts', account) then 'ap'
            when control_of = 'ar' or setting_list_contains('ar_accounts', account) then 'ar'
            when control_of = 'retainage_payable' or setting_list_contains('retainage_payable_accounts', account) then 'retainage_payable'
            when control_of = 'retainage_receivable' or setting_list_contains('retainage_receivable_accounts', account)
                then 'retainage_receivable'
        end as control
    from erp.gl_accounts
    -- One of several connections that tells accounts and not what is on them has no ledger to be held against.
    where
        not coalesce(setting_list_contains('not_mapped', source || '.account_balances'), false) and
        not coalesce(setting_list_contains('not_mapped', source || '.gl_transactions'), false)

),

-- The last period that has ended, and what was posted in later ones: a bill dated in June and posted in July is in no balance of June.
-- Budgets and statistics are ledgers of their own.
ended as (

    select periods.source, max(periods.ends_on) as ends_on
    from erp.fiscal_periods as periods
    inner join (select distinct source, period from erp.account_balances) as balances on
        balances.period = periods.period and (balances.source is not distinct from periods.source)
    cross join meta.clock
    where periods.ends_on <= clock.accounting_date
    group by periods.source

),

-- All in debits less credits, as closing balances are.
ledger as (

    select controls.source, controls.control, balances.closing as amount, balances.currency
    from controls
    inner join erp.account_balances as balances on balances.account = controls.account and (balances.source is not distinct from controls.source)
    inner join erp.fiscal_periods as periods on periods.period = balances.period and (periods.source is not distinct from balances.source)
    inner join ended on ended.ends_on = periods.ends_on and (ended.source is not distinct from periods.source)
    where controls.control is not null and lower(coalesce(balances.ledger, 'actual')) like '%actual%'

    union all

    select controls.source, controls.control, coalesce(lines.debit, 0) - coalesce(lines.credit, 0) as amount, null as currency
    from controls
    inner join erp.gl_transactions as lines on lines.account = controls.account and (lines.source is not distinct from controls.source)
    left join erp.fiscal_periods as periods on periods.period = lines.period and (periods.source is not distinct from lines.source)
    left join ended on (ended.source is not distinct from lines.source)
    cross join meta.clock
    where
        controls.control is not null and
        (ended.ends_on is null or coalesce(periods.starts_on, lines.date) > ended.ends_on) and
        lines.date <= clock.accounting_date

),

posted as (

    select source, control, sum(coalesce(amount, 0)) as amount, min(currency) as currency from ledger group by source, control

),

-- Batches that the ledger has not taken yet explain what it lacks.
waiting as (

    select
        controls.source,
        controls.control,
        lines.batch,
        sum(coalesce(lines.debit, 0) - coalesce(lines.credit, 0)) as amount,
        row_number() over (partition by controls.source, controls.control order by lines.batch) as turn
    from controls
    inner join erp.unposted_transactions as lines on lines.account = controls.account and (lines.source is not distinct from controls.source)
    cross join meta.clock
    where controls.control is not null and coalesce(lines.date, clock.accounting_date) <= clock.accounting_date
    group by controls.source, controls.control, lines.batch

),

unposted as (

    select
        source,
        control,
        sum(amount) as amount,
        string_agg(case when turn <= 10 then batch end, ', ' order by batch) ||
            case when count(*) > 10 then ' and ' || cast(count(*) - 10 as varchar) || ' more' else '' end as batches
    from waiting
    group by source, control

),

-- What is owed to others stands in the ledger as a negative amount, and here as what is owed.
known as (

    select source, control, case when control in ('ap', 'retainage_payable') then -1 else 1 end as sign, count(*) as account_count
    from controls
    where control is not null
    group by source, control

)

select
    known.source,
    known.control,
    known.account_count,
    coalesce(posted.currency, setting_text('currency')) as currency,
    known.sign * coalesce(posted.amount, 0) as ledger_amount,
    known.sign * coalesce(unposted.amount, 0) as unposted_amount,
    unposted.batches as unposted_batches
from known
left join unposted on unposted.control = known.control and (unposted.source is not distinct from known.source)
left join posted on posted.control = known.control and (posted.source is not distinct from known.source)
