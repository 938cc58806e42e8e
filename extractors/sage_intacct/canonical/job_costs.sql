-- title: Sage Intacct job costs
-- grain: one posted bill or adjustment line, or one posted ledger line of another application, on a project and an account of expense
-- There is no ledger of projects: cost is what was entered with a project. Bills tell their vendor, commitment and code line by line, which
-- the ledger need not; so payables come from there, and from the ledger what other applications post (payroll, cards, journals).
-- An entry of payables is known by its module (3.AP, 9.PO): T4 holds the bills against those entries.
-- A line without a task stays, with a null code: that is a finding. The cost type is the line's, else that of its account.

with expenses as (

    select trim(id) as account
    from source.accounts
    where lower(trim(account_type)) = 'incomestatement' and lower(trim(normal_balance)) = 'debit'

),

types as (

    select trim(account) as account, case when min(trim(id)) = max(trim(id)) then min(trim(id)) end as cost_type
    from source.standard_cost_types
    where nullif(trim(account), '') is not null
    group by 1

),

credits as (

    select adjustment, bool_or(lower(adjustment_type) like '%debit%') and not bool_or(lower(adjustment_type) like '%credit%') as is_debit
    from source.ap_adjustment_lines
    group by adjustment

),

costs as (

    select
        concat('bill|', lines.bill, '|', lines.key) as record_id, lines.project, lines.task, lines.cost_type, lines.account,
        bills.posting_date as cost_date, lines.txn_amount as amount, 'bill' as document_type, concat('bill|', lines.bill) as document_id,
        bills.currency, bills.created_date_time, coalesce(lines.modified_date_time, bills.modified_date_time) as modified_date_time
    from source.bill_lines as lines
    inner join source.bills as bills on bills.key = lines.bill
    where lower(trim(bills.status)) in ('posted', 'partiallypaid', 'selected', 'paid')

    union all

    select
        concat('adjustment|', lines.adjustment, '|', lines.key), lines.project, lines.task, lines.cost_type, lines.account,
        coalesce(adjustments.posting_date, adjustments.created_date),
        case when credits.is_debit then -abs(lines.txn_amount) else lines.txn_amount end, 'adjustment',
        concat('adjustment|', lines.adjustment), adjustments.currency, adjustments.created_date_time,
        coalesce(lines.modified_date_time, adjustments.modified_date_time)
    from source.ap_adjustment_lines as lines
    inner join source.ap_adjustments as adjustments on adjustments.key = lines.adjustment
    left join credits on credits.adjustment = lines.adjustment
    where lower(trim(adjustments.status)) in ('posted', 'partiallypaid', 'selected', 'paid')

    union all

    select
        concat('journal|', lines.key), lines.project, lines.task, lines.cost_type, lines.account, entries.posting_date,
        case when lower(trim(lines.txn_type)) in ('debit', 'd', '1') then lines.txn_amount else -lines.txn_amount end, 'journal',
        concat('journal|', entries.key), lines.currency, entries.created_date_time,
        coalesce(lines.modified_date_time, entries.modified_date_time)
    from source.journal_lines as lines
    inner join source.journal_entries as entries on entries.key = lines.entry
    where
        lower(trim(entries.status)) in ('posted', 'reversed', 'p', 'z') and
        coalesce(regexp_replace(lower(trim(entries.module_name)), '[^a-z]', '', 'g'), '') not in ('ap', 'accountspayable', 'po', 'purchasing')

)

select
    costs.record_id,
    costs.created_date_time as created_at,
    costs.modified_date_time as updated_at,
    trim(costs.project) as project_id,
    nullif(trim(costs.task), '') as cost_code,
    coalesce(nullif(trim(costs.cost_type), ''), types.cost_type) as cost_type,
    costs.cost_date,
    costs.amount,
    costs.document_type,
    costs.document_id,
    nullif(trim(costs.currency), '') as currency
from costs
inner join expenses on expenses.account = trim(costs.account)
left join types on types.account = trim(costs.account)
where nullif(trim(costs.project), '') is not null
