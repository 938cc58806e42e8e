-- title: Sage 300 CRE invoices of vendors
-- grain: one invoice of a vendor, and one more for what was paid of what it retained
-- statuses: Open, Partially paid, Fully paid, Void
-- The amount is gross: a pay application arrives as what is due and what is retained. An invoice on hold is not released. Retainage is
-- given back on the invoice itself: what was paid of it is a release.
--   amount 1,000.00, retained 100.00, paid 960.00 of which retainage 60.00 → gross 1,000.00, net 900.00, paid 900.00; release: gross 0.00,
--   retainage −60.00, net 60.00, paid 60.00.
-- Job and commitment are those of its distributions, where all agree. It was last paid when the last payment that pays was posted.

with named as (

    select
        upper(trim(vendor)) as vendor, upper(trim(invoice)) as invoice,
        case when min(nullif(trim(job), '')) = max(nullif(trim(job), '')) then min(nullif(upper(trim(job)), '')) end as job,
        case
            when min(upper(nullif(trim(commitment), ''))) = max(upper(nullif(trim(commitment), '')))
            then min(nullif(upper(trim(commitment)), ''))
        end as commitment
    from source.distributions
    group by upper(trim(vendor)), upper(trim(invoice))

),

-- The day of a payment stands on its postings; where these are not there, on its entry.
posted as (

    select
        concat(upper(trim(vendor)), '|', upper(trim(invoice))) as invoice_id, regexp_replace(trim(payment_id), '\.0+$', '') as payment_id,
        max(nullif(accounting_date, date '1900-01-01')) as posted_on
    from source.ap_transactions
    where nullif(regexp_replace(trim(payment_id), '\.0+$', ''), '0') <> ''
    group by 1, 2

),

paid_on as (

    select
        concat(upper(trim(payments.vendor)), '|', upper(trim(payments.invoice))) as invoice_id,
        max(coalesce(posted.posted_on, nullif(payments.date_stamp, date '1900-01-01'))) as last_paid_on
    from source.invoice_payments as payments
    left join posted on
        posted.invoice_id = concat(upper(trim(payments.vendor)), '|', upper(trim(payments.invoice))) and
        posted.payment_id = regexp_replace(trim(payments.payment_id), '\.0+$', '')
    where payments.amount_paid > 0 and coalesce(lower(payments.payment_type), '') not like '%void%'
    group by 1

),

rounded as (

    select
        concat(upper(trim(vendor)), '|', upper(trim(invoice))) as record_id, upper(trim(vendor)) as vendor, upper(trim(invoice)) as code,
        trim(invoice) as number, status, lower(trim(status)) as word, coalesce(lower(trim(onhold_status)), '') as hold,
        firm_status('invoices', status) as firm_status,
        nullif(invoice_date, date '1900-01-01') as invoice_date, nullif(payment_date, date '1900-01-01') as due_date,
        case when date_stamp > date '1900-01-01' then end_of_day(date_stamp) end as updated_at,
        round_half_even(amount, 2) as amount, round_half_even(tax, 2) as tax, coalesce(round_half_even(retainage, 2), 0) as retained,
        round_half_even(amount_paid, 2) as paid, coalesce(round_half_even(retainage_paid, 2), 0) as released, currency
    from source.invoices

),

stated as (

    select
        *,
        cast(amount - coalesce(tax, 0) as decimal(18, 2)) as gross,
        cast(amount - coalesce(tax, 0) - retained as decimal(18, 2)) as net,
        cast(paid - released as decimal(18, 2)) as paid_net,
        cast(-released as decimal(18, 2)) as retainage_back,
        coalesce(firm_status, case
            when word in ('void', 'voided') then 'void'
            when hold not in ('', '0', 'false', 'no', 'n') then 'draft'
            when word in ('open', 'partially paid') then 'approved'
            when word = 'fully paid' then 'closed'
            else 'pending'
        end) as approval_status
    from rounded

)

select
    stated.record_id,
    stated.updated_at,
    case when stated.gross < 0 then 'credit' else 'progress' end as kind,
    stated.number,
    normalize_number(stated.number) as number_key,
    named.job as project_id,
    stated.vendor as vendor_id,
    named.commitment as commitment_id,
    stated.invoice_date,
    stated.due_date,
    stated.approval_status,
    stated.gross as gross_amount,
    cast(stated.retained as decimal(18, 2)) as retainage_amount,
    cast(stated.tax as decimal(18, 2)) as tax_amount,
    stated.net as net_amount,
    stated.paid_net as paid_amount,
    case when stated.paid_net <> 0 then end_of_day(paid_on.last_paid_on) end as paid_at,
    stated.currency
from stated
left join named on stated.vendor = named.vendor and stated.code = named.invoice
left join paid_on on paid_on.invoice_id = stated.record_id

union all

select
    stated.record_id || '|retainage' as record_id,
    stated.updated_at,
    'retainage_release' as kind,
    stated.number,
    cast(null as varchar) as number_key,
    named.job as project_id,
    stated.vendor as vendor_id,
    named.commitment as commitment_id,
    stated.invoice_date,
    stated.due_date,
    'closed' as approval_status,
    cast(0 as decimal(18, 2)) as gross_amount,
    stated.retainage_back as retainage_amount,
    cast(0 as decimal(18, 2)) as tax_amount,
    cast(stated.released as decimal(18, 2)) as net_amount,
    cast(stated.released as decimal(18, 2)) as paid_amount,
    end_of_day(paid_on.last_paid_on) as paid_at,
    stated.currency
from stated
left join named on stated.vendor = named.vendor and stated.code = named.invoice
left join paid_on on paid_on.invoice_id = stated.record_id
where stated.released <> 0
