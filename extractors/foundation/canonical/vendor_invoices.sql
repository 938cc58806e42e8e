-- title: FOUNDATION vouchers
-- grain: one voucher, and one more for what was paid on it of its retainage
-- The amount is gross: what is retained is in it. There is no table of releases: what is paid beyond the net is retainage given back.
--   amount 1,000.00, retained 100.00, paid 960.00 → gross 1,000.00, net 900.00, paid 900.00; release: gross 0.00, retainage −60.00,
--   net 60.00, paid 60.00.
-- Paid is the sum over four tables, without voided checks. A void flag is 1, Y or true. What an export brought is pending until it is
-- posted; where the installation has no flag of that, what is there is posted. The job is the voucher's, else that of its lines, if one.

with payments as (

    select trim(voucher_no) as voucher_no, void_flag, cash_amount from source.check_payments
    union all
    select trim(voucher_no) as voucher_no, void_flag, cash_amount from source.other_payments
    union all
    select trim(voucher_no) as voucher_no, void_flag, cash_amount from source.prepaid_checks
    union all
    select trim(voucher_no) as voucher_no, void_flag, cash_amount from source.prepaid_payments

),

paid as (

    select voucher_no, sum(cash_amount) as amount
    from payments
    where coalesce(lower(trim(void_flag)), '') not in ('1', 'y', 'yes', 't', 'true')
    group by voucher_no

),

named as (

    select trim(voucher_no) as voucher_no,
        case when min(nullif(trim(job_no), '')) = max(nullif(trim(job_no), '')) then min(nullif(trim(job_no), '')) end as job_no
    from source.voucher_lines
    group by trim(voucher_no)

),

vouchers as (

    select
        trim(vouchers.voucher_no) as voucher_no, vouchers.invoice_no, vouchers.vendor_no, vouchers.invoice_date, vouchers.due_date,
        coalesce(nullif(trim(vouchers.job_no), ''), named.job_no) as job_no,
        coalesce(lower(trim(vouchers.posted_flag)), 'y') in ('y', 'yes', '1', 't', 'true') as is_posted,
        cast(vouchers.invoice_amount as decimal(18, 2)) as gross,
        cast(coalesce(vouchers.retainage_amount, 0) as decimal(18, 2)) as retained,
        cast(vouchers.invoice_amount - coalesce(vouchers.retainage_amount, 0) as decimal(18, 2)) as net,
        cast(coalesce(paid.amount, 0) as decimal(18, 2)) as paid
    from source.vouchers as vouchers
    left join paid on paid.voucher_no = trim(vouchers.voucher_no)
    left join named on named.voucher_no = trim(vouchers.voucher_no)

),

settled as (

    select
        *,
        cast(case when net >= 0 then greatest(paid - net, 0) else least(paid - net, 0) end as decimal(18, 2)) as released
    from vouchers

)

select
    voucher_no as record_id,
    case when gross < 0 then 'credit' else 'progress' end as kind,
    trim(invoice_no) as number,
    normalize_number(trim(invoice_no)) as number_key,
    job_no as project_id,
    nullif(trim(vendor_no), '') as vendor_id,
    invoice_date,
    due_date,
    case when not is_posted then 'pending' when paid - released = net and net <> 0 then 'closed' else 'approved' end as approval_status,
    gross as gross_amount,
    retained as retainage_amount,
    net as net_amount,
    cast(case when is_posted then paid - released else 0 end as decimal(18, 2)) as paid_amount,
    cast(case when is_posted then net - (paid - released) else 0 end as decimal(18, 2)) as open_balance
from settled

union all

select
    voucher_no || '|retainage' as record_id,
    'retainage_release' as kind,
    trim(invoice_no) as number,
    cast(null as varchar) as number_key,
    job_no as project_id,
    nullif(trim(vendor_no), '') as vendor_id,
    invoice_date,
    due_date,
    'closed' as approval_status,
    cast(0 as decimal(18, 2)) as gross_amount,
    cast(-released as decimal(18, 2)) as retainage_amount,
    released as net_amount,
    released as paid_amount,
    cast(0 as decimal(18, 2)) as open_balance
from settled
where is_posted and released <> 0
