-- title: Sage 300 CRE invoices of vendors
-- grain: one invoice of a vendor
-- statuses: Open, Partially paid, Fully paid, Void
-- The amount is gross: a pay application arrives as what is due and what is retained. An invoice on hold is not released.
-- Job and commitment are those of its distributions, where all agree.

with named as (

    select
        upper(trim(vendor)) as vendor, upper(trim(invoice)) as invoice,
        case when min(nullif(trim(job), '')) = max(nullif(trim(job), '')) then min(nullif(upper(trim(job)), '')) end as job,
        case
            when min(nullif(trim(commitment), '')) = max(nullif(trim(commitment), '')) then min(nullif(upper(trim(commitment)), ''))
        end as commitment
    from source.distributions
    group by upper(trim(vendor)), upper(trim(invoice))

)

select
    concat(upper(trim(invoices.vendor)), '|', upper(trim(invoices.invoice))) as record_id,
    case when invoices.date_stamp > date '1900-01-01' then end_of_day(invoices.date_stamp) end as updated_at,
    case when invoices.amount < 0 then 'credit' else 'progress' end as kind,
    trim(invoices.invoice) as number,
    normalize_number(trim(invoices.invoice)) as number_key,
    named.job as project_id,
    upper(trim(invoices.vendor)) as vendor_id,
    named.commitment as commitment_id,
    nullif(invoices.invoice_date, date '1900-01-01') as invoice_date,
    nullif(invoices.payment_date, date '1900-01-01') as due_date,
    coalesce(firm_status('invoices', invoices.status), case
        when lower(trim(invoices.status)) in ('void', 'voided') then 'void'
        when coalesce(lower(trim(invoices.onhold_status)), '') not in ('', '0', 'false', 'no', 'n') then 'draft'
        when lower(trim(invoices.status)) in ('open', 'partially paid') then 'approved'
        when lower(trim(invoices.status)) = 'fully paid' then 'closed'
        else 'pending'
    end) as approval_status,
    invoices.amount - coalesce(invoices.tax, 0) as gross_amount,
    coalesce(invoices.retainage, 0) as retainage_amount,
    invoices.tax as tax_amount,
    invoices.amount - coalesce(invoices.tax, 0) - coalesce(invoices.retainage, 0) as net_amount,
    invoices.amount_paid as paid_amount,
    invoices.currency
from source.invoices as invoices
left join named on upper(trim(invoices.vendor)) = named.vendor and upper(trim(invoices.invoice)) = named.invoice
