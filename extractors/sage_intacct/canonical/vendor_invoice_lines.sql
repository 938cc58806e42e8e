-- title: Sage Intacct lines of bills and adjustments
-- grain: one line of an AP document; subtotals (tax, freight) are in the document's tax
-- They add up to gross and retainage of vendor_invoices.sql. A retainage release bills nothing new: amount 0.00, retainage −100.00.
-- The cost type is the line's, else that of its account.

with types as (

    select trim(account) as account, case when min(trim(id)) = max(trim(id)) then min(trim(id)) end as cost_type
    from source.standard_cost_types
    where nullif(trim(account), '') is not null
    group by 1

),

releases as (

    select distinct released_bill from source.ap_retainage_releases where nullif(trim(released_bill), '') is not null

),

credits as (

    select adjustment, bool_or(lower(adjustment_type) like '%debit%') and not bool_or(lower(adjustment_type) like '%credit%') as is_debit
    from source.ap_adjustment_lines
    group by adjustment

),

lines as (

    select
        concat('bill|', lines.bill) as invoice_id, lines.key, lines.task, lines.cost_type, lines.account, lines.project,
        case when releases.released_bill is not null then cast(0 as decimal(24, 6)) else lines.txn_amount end as amount,
        case when releases.released_bill is not null then -lines.txn_amount else coalesce(lines.retained_amount, cast(0 as decimal(24, 6))) end as retainage_amount,
        bills.currency, bills.modified_date_time
    from source.bill_lines as lines
    inner join source.bills as bills on bills.key = lines.bill
    left join releases on releases.released_bill = lines.bill
    where not coalesce(lines.is_subtotal, false)

    union all

    select
        concat('adjustment|', lines.adjustment), lines.key, lines.task, lines.cost_type, lines.account, lines.project,
        case when credits.is_debit then -abs(lines.txn_amount) else lines.txn_amount end, cast(0 as decimal(24, 6)),
        adjustments.currency, adjustments.modified_date_time
    from source.ap_adjustment_lines as lines
    inner join source.ap_adjustments as adjustments on adjustments.key = lines.adjustment
    left join credits on credits.adjustment = lines.adjustment

)

select
    concat(lines.invoice_id, '|', lines.key) as record_id,
    lines.modified_date_time as updated_at,
    lines.invoice_id,
    nullif(trim(lines.task), '') as cost_code,
    coalesce(nullif(trim(lines.cost_type), ''), case when nullif(trim(lines.project), '') is not null then types.cost_type end) as cost_type,
    nullif(trim(lines.account), '') as gl_account,
    lines.amount,
    lines.retainage_amount,
    nullif(trim(lines.currency), '') as currency
from lines
left join types on types.account = trim(lines.account)
