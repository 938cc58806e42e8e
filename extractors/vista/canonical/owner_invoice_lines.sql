-- title: Vista items of owner bills and receivables
-- grain: one contract item of an owner bill; of a receivable that comes from none, one line
-- Contract items are not phases: a bill says no code. What was billed before, this period's work and stored materials are the bill's own.

with interfaced as (

    select bills.key_id, bills.jb_co, bills.bill_month, bills.bill_number, coalesce(companies.ar_co, bills.jb_co) as ar_co, bills.ar_trans
    from source.owner_bills as bills
    left join source.jc_companies as companies on companies.jc_co = bills.jb_co

)

select
    concat('JB|', items.key_id) as record_id,
    concat('JB|', interfaced.key_id) as invoice_id,
    trim(items.item) as item_number,
    items.curr_contract as scheduled_value,
    items.prev_wc + items.prev_sm as from_previous,
    items.wc as this_period,
    items.sm as materials_stored,
    items.prev_amt + items.amt_billed as completed_and_stored,
    items.curr_contract - items.prev_amt - items.amt_billed as balance_to_finish,
    items.retg_billed as retainage
from source.owner_bill_items as items
inner join interfaced on
    interfaced.jb_co = items.jb_co and interfaced.bill_month = items.bill_month and interfaced.bill_number = items.bill_number

union all

select
    concat('AR|', lines.key_id) as record_id,
    concat('AR|', headers.key_id) as invoice_id,
    coalesce(nullif(trim(lines.item), ''), cast(lines.ar_line as varchar)) as item_number,
    null as scheduled_value,
    null as from_previous,
    lines.amount - coalesce(lines.tax_amount, 0.00) as this_period,
    null as materials_stored,
    null as completed_and_stored,
    null as balance_to_finish,
    lines.retainage
from source.ar_lines as lines
inner join source.ar_transactions as headers on headers.ar_co = lines.ar_co and headers.mth = lines.mth and headers.ar_trans = lines.ar_trans
left anti join interfaced on
    interfaced.ar_co = headers.ar_co and interfaced.bill_month = headers.mth and interfaced.ar_trans = headers.ar_trans
where upper(trim(headers.ar_trans_type)) not in ('P', 'M')
