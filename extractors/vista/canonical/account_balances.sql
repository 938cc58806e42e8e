-- title: Vista balances of the balance sheet's accounts
-- grain: one account in one month
-- The ledger keeps each month's activity: a balance is what all months up to it come to. A month in which nothing moved has a row too.
-- Accounts of income and expense begin anew each year: left out.

with firms as (

    select count(*) > 1 as are_several from source.gl_companies

),

activity as (

    select balances.gl_co, balances.gl_acct, balances.mth, sum(balances.net_activity) as net, sum(coalesce(balances.debits, greatest(balances.net_activity, 0.00))) as debit,
        sum(coalesce(balances.credits, greatest(-balances.net_activity, 0.00))) as credit
    from source.gl_balances as balances
    inner join source.gl_accounts as accounts on accounts.gl_co = balances.gl_co and accounts.gl_acct = balances.gl_acct
    where upper(trim(accounts.acct_type)) in ('A', 'L', 'C')
    group by balances.gl_co, balances.gl_acct, balances.mth

),

known as (

    select gl_co, gl_acct, min(mth) as first_mth from activity group by gl_co, gl_acct

),

last as (

    select gl_co, max(mth) as last_mth from activity group by gl_co

),

months as (

    select known.gl_co, known.gl_acct, periods.mth, coalesce(activity.net, 0.00) as net, coalesce(activity.debit, 0.00) as debit,
        coalesce(activity.credit, 0.00) as credit
    from known
    inner join last on last.gl_co = known.gl_co
    inner join source.fiscal_periods as periods on
        periods.gl_co = known.gl_co and periods.mth >= known.first_mth and periods.mth <= last.last_mth
    left join activity on activity.gl_co = known.gl_co and activity.gl_acct = known.gl_acct and activity.mth = periods.mth

),

running as (

    select *, sum(net) over (partition by gl_co, gl_acct order by mth) as closing,
        rtrim(regexp_replace(trim(gl_acct), ' *([^A-Za-z0-9 ]) *', '\1', 'g'), '-./ ') as number
    from months

)

select
    concat(to_char(running.mth, '%Y-%m'), '|', running.gl_co, '|', running.number) as record_id,
    case when firms.are_several then concat(running.gl_co, '|', running.number) else running.number end as account,
    to_char(running.mth, '%Y-%m') as period,
    cast(running.gl_co as varchar) as branch,
    running.closing - running.net as opening,
    running.debit,
    running.credit,
    running.closing
from running
cross join firms
