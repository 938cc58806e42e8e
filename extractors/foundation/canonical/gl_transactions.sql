-- title: FOUNDATION ledger
-- grain: one entry; those of the journal CLS close a year and are no business of any month

select
    concat(cast(transaction_id as varchar), '|', cast(line_id as varchar)) as record_id,
    coalesce(date_booked, date_posted) as date,
    trim(full_account_no) as account,
    nullif(trim(job_no), '') as project_id,
    coalesce(amount_db, 0) as debit,
    coalesce(amount_cr, 0) as credit,
    nullif(trim(journal_no), '') as document_type,
    coalesce(nullif(trim(voucher_no), ''), nullif(trim(ar_invoice_no), ''), nullif(trim(transaction_no), '')) as document_id
from source.gl_lines
where coalesce(upper(trim(journal_no)), '') <> 'CLS' and coalesce(upper(trim(record_status)), 'A') = 'A'
