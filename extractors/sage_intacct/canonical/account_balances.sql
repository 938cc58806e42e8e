-- title: Sage Intacct balances of the balance sheet's accounts
-- grain: one account in one month, all locations together
-- The query service has no balances: these are what the posted lines come to, from the first entry on. A month in which nothing moved has
-- a row too. Accounts of the income statement begin anew each year, on a day that no object tells: they are left out.

with periods as (

    select min(trim(id)) as period, start_date, end_date
    from source.reporting_periods
    where end_date - start_date between 26 and 35
    group by start_date, end_date

),

lines as (

    select trim(lines.account) as account, entries.posting_date,
        case when lower(trim(lines.txn_type)) in ('debit', 'd', '1') then lines.txn_amount else cast(0 as decimal(24, 6)) end as debit,
        case when lower(trim(lines.txn_type)) in ('debit', 'd', '1') then cast(0 as decimal(24, 6)) else lines.txn_amount end as credit,
        nullif(trim(lines.currency), '') as currency
    from source.journal_lines as lines
    inner join source.journal_entries as entries on entries.key = lines.entry
    inner join source.accounts as accounts on trim(accounts.id) = trim(lines.account)
    where lower(trim(entries.status)) in ('posted', 'reversed', 'p', 'z') and lower(trim(accounts.account_type)) = 'balancesheet'

),

known as (

    select account, min(posting_date) as first_on, min(currency) as currency from lines group by account

),

last as (

    select max(posting_date) as last_on from lines

),

moved as (

    select lines.account, periods.period, sum(lines.debit) as debit, sum(lines.credit) as credit
    from lines
    inner join periods on lines.posting_date between periods.start_date and periods.end_date
    group by lines.account, periods.period

),

months as (

    select known.account, known.currency, periods.period, periods.start_date,
        coalesce(moved.debit, cast(0 as decimal(24, 6))) as debit, coalesce(moved.credit, cast(0 as decimal(24, 6))) as credit
    from known
    cross join last
    inner join periods on periods.end_date >= known.first_on and periods.start_date <= last.last_on
    left join moved on moved.account = known.account and moved.period = periods.period

),

running as (

    select *, sum(debit - credit) over (partition by account order by start_date) as closing from months

)

select
    concat(period, '|', account) as record_id,
    account,
    period,
    closing - debit + credit as opening,
    debit,
    credit,
    closing,
    currency
from running
