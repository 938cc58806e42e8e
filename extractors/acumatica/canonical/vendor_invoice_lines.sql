-- title: Acumatica lines of bills and adjustments
-- grain: one line of an AP document, and one more for a discount of the whole document
-- They add up to the document's gross and retainage in vendor_invoices.sql: the line's extended cost less its discount, before
-- retainage and tax; negative on a debit adjustment.
--   lines 600.00 and 400.00, discount of the document 50.00 → 600.00, 400.00, −50.00 on no code; gross 950.00.
-- A retainage release bills nothing new: amount 0.00, retainage −100.00 on the line that gives 100.00 back.
-- Retainage is on the screen only: where it did not come it is null, not 0. The cost type is the group of the line's account.

with accounts as (

    select trim(account_cd) as account, nullif(trim(account_group), '') as account_group from source.accounts

),

bills as (

    select
        concat(trim(type), '|', trim(reference_nbr)) as invoice_id,
        case when lower(trim(type)) in ('debit adj.', 'debit adjustment', 'adr') then cast(-1 as decimal(1, 0)) else cast(1 as decimal(1, 0)) end as sign,
        coalesce(is_retainage_document, false) as is_release,
        retainage_apply = false as retains_nothing,
        discount_total, nullif(trim(currency_id), '') as currency, last_modified_date_time
    from source.bills

),

lines as (

    select
        concat(trim(type), '|', trim(reference_nbr)) as invoice_id, cast(coalesce(line_nbr, position) as varchar) as line, cost_code, account,
        coalesce(extended_cost, amount) - coalesce(discount_amount, 0) as amount, retainage_amount
    from source.bill_lines

    union all

    select
        invoice_id, 'discount' as line, arrow_cast(null, 'Utf8') as cost_code, arrow_cast(null, 'Utf8') as account, -discount_total as amount,
        cast(0 as decimal(24, 6)) as retainage_amount
    from bills
    where discount_total <> 0

)

select
    concat(lines.invoice_id, '|', lines.line) as record_id,
    bills.last_modified_date_time as updated_at,
    lines.invoice_id,
    nullif(trim(lines.cost_code), '') as cost_code,
    accounts.account_group as cost_type,
    nullif(trim(lines.account), '') as gl_account,
    case when bills.is_release then cast(0 as decimal(24, 6)) else lines.amount * bills.sign end as amount,
    case
        when bills.is_release then -lines.amount * bills.sign
        when bills.retains_nothing then cast(0 as decimal(24, 6))
        else lines.retainage_amount * bills.sign
    end as retainage_amount,
    bills.currency
from lines
inner join bills on lines.invoice_id = bills.invoice_id
left join accounts on trim(lines.account) = accounts.account
