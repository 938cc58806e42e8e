-- title: Lines of FOUNDATION's vouchers
-- grain: one line

select
    _key as record_id,
    trim(voucher_no) as invoice_id,
    nullif(trim(cost_code_no), '') as cost_code,
    nullif(upper(trim(cost_class_no)), '') as cost_type,
    nullif(trim(account_no), '') as gl_account,
    amount
from source.voucher_lines
