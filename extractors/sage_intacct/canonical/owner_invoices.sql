-- title: Sage Intacct invoices and adjustments of receivables
-- grain: one AR document
-- statuses: draft, posted, partiallyPaid, paid, selected, reversed, reversal, noValue
-- Drafts are records too; only posted documents are owed or paid. Both a reversed invoice and its reversal are void.
-- Lines are gross of retainage; subtotals are tax here. A credit is negative.
-- A retainage release bills nothing new: gross 0.00, retainage −100.00, net 100.00. Its billing has no application number.
-- The G702 is the billing summary of the invoice. What is retained to date is its balance: held less billed.
-- The contract is the invoice's, else that of its lines, else the project's if it has one alone.
-- What is due leaves out retainage, or does not: see vendor_invoices.sql. Paid = details of payments posted and not voided.

with lines as (

    select invoice,
        sum(case when coalesce(is_subtotal, false) then cast(0 as decimal(24, 6)) else txn_amount end) as gross_amount,
        sum(case when coalesce(is_subtotal, false) then txn_amount else cast(0 as decimal(24, 6)) end) as tax_amount,
        sum(txn_amount) as total_amount,
        sum(retained_amount) as retained_amount, bool_or(coalesce(is_release_line, false)) as is_release,
        case when min(trim(project)) = max(trim(project)) then nullif(min(trim(project)), '') end as project_id,
        case when min(trim(contract)) = max(trim(contract)) then nullif(min(trim(contract)), '') end as contract_id
    from source.invoice_lines
    group by invoice

),

contracts as (

    select trim(project) as project_id, case when count(*) = 1 then min(trim(id)) end as contract_id
    from source.contracts
    where nullif(trim(project), '') is not null
    group by 1

),

releases as (

    select distinct released_invoice from source.ar_retainage_releases where nullif(trim(released_invoice), '') is not null

),

billings as (

    select *, row_number() over (partition by invoice order by modified_date_time desc nulls last, key desc) as turn
    from source.billing_summaries
    where nullif(trim(invoice), '') is not null

),

paid as (

    select details.invoice, sum(details.amount) as amount
    from source.ar_payment_details as details
    inner join source.ar_payments as payments on payments.key = details.payment
    where lower(trim(payments.status)) in ('posted', 'paid', 'complete', 'completed', 'confirmed', 'cleared', 'c')
    group by details.invoice

),

adjusted as (

    select adjustment, case when min(trim(project)) = max(trim(project)) then nullif(min(trim(project)), '') end as project_id
    from source.ar_adjustment_lines
    group by adjustment

),

documents as (

    select
        concat('invoice|', invoices.key) as record_id, invoices.key, firm_status('invoices', invoices.status) as firm_status, invoices.status as state,
        invoices.invoice_number as number, lines.project_id, coalesce(nullif(trim(invoices.contract), ''), lines.contract_id) as contract_id,
        coalesce(nullif(trim(billings.application_number), ''), nullif(trim(invoices.application_number), '')) as application_number,
        billings.billing_through, invoices.invoice_date, invoices.due_date, invoices.gl_posting_date as posting_date, invoices.currency,
        coalesce(lines.is_release, false) or releases.released_invoice is not null as is_release,
        coalesce(lines.gross_amount, invoices.total_txn_amount) as billed_amount, coalesce(lines.tax_amount, cast(0 as decimal(24, 6))) as tax_amount,
        coalesce(invoices.retained_amount, lines.retained_amount, cast(0 as decimal(24, 6))) as retained_amount,
        case
            when coalesce(invoices.retained_amount, cast(0 as decimal(24, 6))) <> 0 and lines.total_amount = invoices.total_txn_amount and
                invoices.total_txn_amount_due = invoices.total_txn_amount - coalesce(invoices.total_txn_amount_paid, cast(0 as decimal(24, 6)))
                then invoices.total_txn_amount_due - (invoices.retained_amount - coalesce(invoices.released_amount, cast(0 as decimal(24, 6))))
            else invoices.total_txn_amount_due
        end as due_amount,
        coalesce(paid.amount, cast(0 as decimal(24, 6))) as paid_amount, false as is_credit,
        billings.original_amount, billings.change_amount, billings.revised_amount, billings.completed_to_date, billings.retained_to_date,
        billings.earned_less_retained, billings.previous_billing, billings.current_due, billings.balance_to_finish,
        invoices.created_date_time, invoices.modified_date_time
    from source.invoices as invoices
    left join lines on lines.invoice = invoices.key
    left join releases on releases.released_invoice = invoices.key
    left join billings on billings.invoice = invoices.key and billings.turn = 1
    left join paid on paid.invoice = invoices.key

    union all

    select
        concat('adjustment|', adjustments.key), adjustments.key, firm_status('ar_adjustments', adjustments.status), adjustments.status,
        adjustments.adjustment_number, adjusted.project_id, null, null, null, adjustments.created_date, null, adjustments.gl_posting_date,
        adjustments.currency, false,
        case when lower(adjustments.txn_type) like '%credit%' then -abs(adjustments.total_amount) else adjustments.total_amount end,
        cast(0 as decimal(24, 6)), cast(0 as decimal(24, 6)),
        case when lower(adjustments.txn_type) like '%credit%' then -abs(adjustments.total_due) else adjustments.total_due end,
        cast(0 as decimal(24, 6)), true, null, null, null, null, null, null, null, null, null, adjustments.created_date_time, adjustments.modified_date_time
    from source.ar_adjustments as adjustments
    left join adjusted on adjusted.adjustment = adjustments.key

),

gone as (

    select split_part(trim(object_id), '--', 1) as key, max(deleted_at) as deleted_at
    from source.deletions
    where lower(trim(object_name)) = 'arinvoice'
    group by 1

),

periods as (

    select min(trim(id)) as period, start_date, end_date
    from source.reporting_periods
    where end_date - start_date between 26 and 35
    group by start_date, end_date

),

judged as (

    select documents.*, coalesce(firm_status, case
            when lower(trim(state)) = 'draft' then 'draft'
            when lower(trim(state)) in ('posted', 'partiallypaid', 'selected') then 'approved'
            when lower(trim(state)) = 'paid' then 'closed'
            when lower(trim(state)) in ('reversed', 'reversal') then 'void'
            else 'pending'
        end) as approval_status
    from documents

)

select
    judged.record_id,
    judged.created_date_time as created_at,
    judged.modified_date_time as updated_at,
    case when judged.is_release then 'retainage_release' when judged.is_credit and judged.billed_amount < 0 then 'credit' else 'progress' end as kind,
    coalesce(nullif(trim(judged.number), ''), judged.key) as number,
    normalize_number(coalesce(nullif(trim(judged.number), ''), judged.key)) as number_key,
    judged.project_id,
    coalesce(judged.contract_id, contracts.contract_id) as contract_id,
    try_cast(judged.application_number as bigint) as application_number,
    judged.billing_through as period_end,
    judged.invoice_date as billing_date,
    judged.due_date,
    judged.approval_status,
    case when judged.approval_status in ('approved', 'closed') then periods.period end as posted_period,
    case when judged.is_release then cast(0 as decimal(24, 6)) else judged.billed_amount end as gross_amount,
    case when judged.is_release then -judged.billed_amount else judged.retained_amount end as retainage_amount,
    judged.tax_amount,
    case when judged.is_release then judged.billed_amount else judged.billed_amount - judged.retained_amount end as net_amount,
    judged.original_amount as original_contract_sum,
    judged.change_amount as change_order_sum,
    judged.revised_amount as contract_sum_to_date,
    judged.completed_to_date as completed_and_stored,
    judged.retained_to_date as total_retainage,
    judged.earned_less_retained as earned_less_retainage,
    judged.previous_billing as previous_certificates,
    judged.current_due as current_payment_due,
    judged.balance_to_finish,
    case when judged.approval_status in ('approved', 'closed') then judged.paid_amount else cast(0 as decimal(24, 6)) end as paid_amount,
    case when judged.approval_status in ('approved', 'closed') then judged.due_amount else cast(0 as decimal(24, 6)) end as open_balance,
    nullif(trim(judged.currency), '') as currency
from judged
left join contracts on contracts.project_id = judged.project_id
left join periods on judged.posting_date between periods.start_date and periods.end_date
left anti join gone on
    concat('invoice|', gone.key) = judged.record_id and gone.deleted_at > coalesce(judged.created_date_time, timestamp '1970-01-01')
