-- title: Sage Intacct billing details and invoice lines
-- grain: one line of the billing of a contract, else one line of the AR document
-- The detail is the G703: scheduled value, from previous applications, this period, stored materials, to date. Stored materials are apart
-- from this period's work where all three add up to the total to date; where they do not, the form's own total counts.
-- A credit is negative; a retainage release bills nothing new.

with billed as (

    select
        concat('invoice|', invoice) as invoice_id, key, coalesce(nullif(trim(contract_line), ''), key) as item_number,
        nullif(trim(task), '') as cost_code, revised_amount as scheduled_value, from_previous, this_period,
        coalesce(stored_materials, cast(0 as decimal(24, 6))) as materials_stored, completed_to_date, percent_complete, balance_to_finish, retained_to_date
    from source.billing_details
    where nullif(trim(invoice), '') is not null

),

with_details as (

    select distinct invoice_id from billed

),

plain as (

    select concat('invoice|', lines.invoice) as invoice_id, lines.key, lines.key as item_number,
        case when coalesce(lines.is_release_line, false) then cast(0 as decimal(24, 6)) else lines.txn_amount end as amount
    from source.invoice_lines as lines
    where not coalesce(lines.is_subtotal, false)

    union all

    select concat('adjustment|', lines.adjustment) as invoice_id, lines.key, lines.key as item_number,
        case when lower(adjustments.txn_type) like '%credit%' then -abs(lines.amount) else lines.amount end as amount
    from source.ar_adjustment_lines as lines
    inner join source.ar_adjustments as adjustments on adjustments.key = lines.adjustment

),

lines as (

    select * from billed

    union all

    select plain.invoice_id, plain.key, plain.item_number, null, null, null, plain.amount, null, null, null, null, null
    from plain
    left anti join with_details on with_details.invoice_id = plain.invoice_id

),

documents as (

    select concat('invoice|', key) as invoice_id, nullif(trim(currency), '') as currency, modified_date_time from source.invoices
    union all
    select concat('adjustment|', key) as invoice_id, nullif(trim(currency), '') as currency, modified_date_time from source.ar_adjustments

)

select
    concat(lines.invoice_id, '|', lines.key) as record_id,
    documents.modified_date_time as updated_at,
    lines.invoice_id,
    lines.item_number,
    lines.cost_code,
    lines.scheduled_value,
    lines.from_previous,
    lines.this_period,
    lines.materials_stored,
    lines.completed_to_date as completed_and_stored,
    lines.percent_complete,
    lines.balance_to_finish,
    lines.retained_to_date as retainage,
    documents.currency
from lines
inner join documents on documents.invoice_id = lines.invoice_id
