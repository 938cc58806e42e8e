-- title: Distributions of Sage 300 CRE's invoices
-- grain: one distribution

select
    concat(upper(trim(vendor)), '|', upper(trim(invoice)), '|', trim(dist_seq)) as record_id,
    concat(upper(trim(vendor)), '|', upper(trim(invoice))) as invoice_id,
    nullif(trim(cost_code), '') as cost_code,
    nullif(upper(trim(category)), '') as cost_type,
    nullif(trim(expense_account), '') as gl_account,
    round_half_even(amount, 2) - coalesce(round_half_even(tax, 2), 0) as amount,
    retainage as retainage_amount,
    currency
from source.distributions
