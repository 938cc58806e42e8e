-- title: Sage Intacct journal lines
-- grain: one line of a posted entry
-- statuses: draft, submitted, partiallyApproved, approved, declined, posted, reversed
-- Posted and reversed entries stand in the ledger, the others do not yet.
-- The period is that of the entry's posting date. Lines of payables name their bill by its record number where the entry has one bill;
-- other cost is its own document. The cost type is the line's, else that of its account.

with periods as (

    select min(trim(id)) as period, start_date, end_date
    from source.reporting_periods
    where end_date - start_date between 26 and 35
    group by start_date, end_date

),

types as (

    select trim(account) as account, case when min(trim(id)) = max(trim(id)) then min(trim(id)) end as cost_type
    from source.standard_cost_types
    where nullif(trim(account), '') is not null
    group by 1

),

entries as (

    select key, posting_date, created_date_time, modified_date_time, trim(module_name) as module,
        regexp_replace(lower(trim(module_name)), '[^a-z]', '', 'g') in ('ap', 'accountspayable', 'po', 'purchasing') as is_payable
    from source.journal_entries
    where lower(trim(status)) in ('posted', 'reversed', 'p', 'z')

)

select
    concat('journal|', lines.key) as record_id,
    coalesce(lines.created_date_time, entries.created_date_time) as created_at,
    coalesce(lines.modified_date_time, entries.modified_date_time) as updated_at,
    entries.posting_date as date,
    periods.period,
    trim(lines.account) as account,
    nullif(trim(lines.project), '') as project_id,
    nullif(trim(lines.task), '') as cost_code,
    coalesce(nullif(trim(lines.cost_type), ''), case when nullif(trim(lines.project), '') is not null then types.cost_type end) as cost_type,
    case when lower(trim(lines.txn_type)) in ('debit', 'd', '1') then lines.txn_amount else cast(0 as decimal(24, 6)) end as debit,
    case when lower(trim(lines.txn_type)) in ('debit', 'd', '1') then cast(0 as decimal(24, 6)) else lines.txn_amount end as credit,
    entries.module as document_type,
    case when entries.is_payable then concat('bill|', bills.key) else concat('journal|', entries.key) end as document_id,
    nullif(trim(lines.currency), '') as currency
from source.journal_lines as lines
inner join entries on entries.key = lines.entry
left join source.bills as bills on entries.is_payable and bills.key = trim(lines.document_id)
left join types on types.account = trim(lines.account)
left join periods on entries.posting_date between periods.start_date and periods.end_date
