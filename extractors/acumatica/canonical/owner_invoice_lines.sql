-- title: Acumatica lines of pro formas and AR invoices
-- grain: one G703 line of an invoice that a pro forma became, else one line of the AR document; one more for a discount of the document
-- The pro forma is the AIA form: scheduled value (revised budget), previously invoiced, this period, stored material. What stands stored
-- is billed once: this period is already less what was stored before, so that this_period + materials_stored is what the invoice bills
-- and completed_and_stored is all three.
--   previously 100.00 (20.00 of it stored), now 130.00 done, 30.00 stored → D 100.00, E 30.00, F 30.00, G 160.00; billed 60.00.
-- A corrected pro forma counts by its newest revision. Lines of time and material bill this period only. A credit memo is negative; a
-- retainage release bills nothing new. Retainage to date (column I) is on no screen: left out.

with invoices as (

    select
        concat(trim(type), '|', trim(reference_nbr)) as invoice_id,
        case when lower(trim(type)) in ('credit memo', 'crm') then cast(-1 as decimal(1, 0)) else cast(1 as decimal(1, 0)) end as sign,
        coalesce(is_retainage_document, false) as is_release,
        discount_total, nullif(trim(currency_id), '') as currency, last_modified_date_time
    from source.invoices

),

pro_formas as (

    select trim(ref_nbr) as ref_nbr, concat(trim(ar_doc_type), '|', trim(ar_ref_nbr)) as invoice_id, nullif(trim(currency_id), '') as currency,
        row_number() over (
            partition by trim(ar_doc_type), trim(ar_ref_nbr) order by last_modified_date_time desc nulls last, ref_nbr desc
        ) as revision
    from source.pro_forma_invoices
    where nullif(trim(ar_ref_nbr), '') is not null

),

form_lines as (

    select
        pro_formas.invoice_id, pro_formas.currency, concat('P', cast(progress.position as varchar)) as item_number, progress.cost_code,
        progress.revised_budgeted_amount as scheduled_value,
        coalesce(progress.previously_invoiced, 0) as from_previous,
        coalesce(progress.amount, progress.amount_to_invoice - coalesce(progress.stored_material, 0)) as this_period,
        coalesce(progress.stored_material, 0) as materials_stored,
        progress.total_completed as percent_complete
    from source.pro_forma_progress as progress
    inner join pro_formas on trim(progress.ref_nbr) = pro_formas.ref_nbr and pro_formas.revision = 1

    union all

    select
        pro_formas.invoice_id, pro_formas.currency, concat('T', cast(work.position as varchar)) as item_number, work.cost_code,
        cast(null as decimal(24, 6)) as scheduled_value, cast(0 as decimal(24, 6)) as from_previous, work.amount_to_invoice as this_period,
        cast(0 as decimal(24, 6)) as materials_stored, cast(null as decimal(24, 6)) as percent_complete
    from source.pro_forma_time_and_material as work
    inner join pro_formas on trim(work.ref_nbr) = pro_formas.ref_nbr and pro_formas.revision = 1

),

formed as (

    select invoice_id, min(currency) as currency from form_lines group by 1

),

document_lines as (

    select
        concat(trim(type), '|', trim(reference_nbr)) as invoice_id, cast(coalesce(line_nbr, position) as varchar) as item_number, cost_code,
        coalesce(extended_price - coalesce(discount_amount, 0), amount) as amount
    from source.invoice_lines

    union all

    select invoice_id, 'discount' as item_number, arrow_cast(null, 'Utf8') as cost_code, -discount_total as amount
    from invoices
    where discount_total <> 0

),

lines as (

    select * from form_lines

    union all

    select
        document_lines.invoice_id, arrow_cast(null, 'Utf8') as currency, document_lines.item_number, document_lines.cost_code,
        cast(null as decimal(24, 6)) as scheduled_value, cast(null as decimal(24, 6)) as from_previous,
        case when invoices.is_release then cast(0 as decimal(24, 6)) else document_lines.amount * invoices.sign end as this_period,
        cast(null as decimal(24, 6)) as materials_stored, cast(null as decimal(24, 6)) as percent_complete
    from document_lines
    inner join invoices on document_lines.invoice_id = invoices.invoice_id
    left anti join formed on document_lines.invoice_id = formed.invoice_id

)

select
    concat(lines.invoice_id, '|', lines.item_number) as record_id,
    invoices.last_modified_date_time as updated_at,
    lines.invoice_id,
    lines.item_number,
    nullif(trim(lines.cost_code), '') as cost_code,
    lines.scheduled_value,
    lines.from_previous,
    lines.this_period,
    lines.materials_stored,
    lines.from_previous + lines.this_period + lines.materials_stored as completed_and_stored,
    lines.percent_complete,
    lines.scheduled_value - (lines.from_previous + lines.this_period + lines.materials_stored) as balance_to_finish,
    coalesce(invoices.currency, lines.currency) as currency
from lines
inner join invoices on lines.invoice_id = invoices.invoice_id
