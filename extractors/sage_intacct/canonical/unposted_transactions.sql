-- title: Sage Intacct journal lines that are not posted
-- grain: one line of an entry that is neither posted nor turned down
-- statuses: draft, submitted, partiallyApproved, approved, declined, posted, reversed

with periods as (

    select min(trim(id)) as period, start_date, end_date
    from source.reporting_periods
    where end_date - start_date between 26 and 35
    group by start_date, end_date

)

select
    concat('journal|', lines.key) as record_id,
    entries.created_date_time as created_at,
    entries.modified_date_time as updated_at,
    entries.posting_date as date,
    periods.period,
    trim(lines.account) as account,
    concat(trim(entries.module_name), ' ', coalesce(cast(entries.txn_number as varchar), entries.key)) as batch,
    nullif(trim(lines.project), '') as project_id,
    case when lower(trim(lines.txn_type)) in ('debit', 'd', '1') then lines.txn_amount else cast(0 as decimal(24, 6)) end as debit,
    case when lower(trim(lines.txn_type)) in ('debit', 'd', '1') then cast(0 as decimal(24, 6)) else lines.txn_amount end as credit,
    nullif(trim(lines.currency), '') as currency
from source.journal_lines as lines
inner join source.journal_entries as entries on entries.key = lines.entry
left join periods on entries.posting_date between periods.start_date and periods.end_date
where lower(trim(entries.status)) in ('draft', 'submitted', 'partiallyapproved', 'approved', 'i', 's', 'x', 'a')
