-- title: Vista ledger detail
-- grain: one posted line
-- Amounts are debits, credits below zero. Lines name neither job nor phase. The period is the month that they are posted in.

with firms as (

    select count(*) > 1 as are_several from source.gl_companies

),

lines as (

    select *, rtrim(regexp_replace(trim(gl_acct), ' *([^A-Za-z0-9 ]) *', '\1', 'g'), '-./ ') as number from source.gl_details

)

select
    concat('GL|', lines.gl_co, '|', to_char(lines.mth, '%Y-%m'), '|', lines.gl_trans) as record_id,
    lines.act_date as date,
    to_char(lines.mth, '%Y-%m') as period,
    case when firms.are_several then concat(lines.gl_co, '|', lines.number) else lines.number end as account,
    greatest(lines.amount, 0.00) as debit,
    greatest(-lines.amount, 0.00) as credit,
    trim(lines.source) as document_type,
    nullif(trim(lines.gl_ref), '') as document_id
from lines
cross join firms
