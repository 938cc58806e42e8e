-- title: Sage Intacct bills and adjustments of payables
-- grain: one AP document
-- statuses: draft, submitted, partiallyApproved, declined, posted, partiallyPaid, paid, selected, reversed, reversal, noValue
-- Every document is a record, drafts too. Only posted ones are owed or paid. A reversed bill and its reversal are void both.
-- Lines are gross of retainage, and add up to the total; subtotals (tax, freight) are tax here. The creation date is the bill's own.
--   lines 1,000.00 of which 100.00 retained, tax 72.50 → gross 1,000.00, retainage 100.00, net 900.00, tax 72.50.
-- A retainage release bills nothing new: gross 0.00, retainage −100.00, net 100.00; it belongs to the commitment of the bill that retained.
-- What is due leaves out retainage. Where it does not (due and paid make up the gross), the retainage that is not released comes off.
-- A vendor's credit is negative, whether or not its amounts are: the kind of its lines tells.
-- Paid = payment details of payments that are posted and not voided; what an adjustment settles is not paid.

with lines as (

    select bill,
        sum(case when coalesce(is_subtotal, false) then cast(0 as decimal(24, 6)) else txn_amount end) as gross_amount,
        sum(case when coalesce(is_subtotal, false) then txn_amount else cast(0 as decimal(24, 6)) end) as tax_amount,
        sum(txn_amount) as total_amount,
        sum(retained_amount) as retained_amount,
        case when min(trim(project)) = max(trim(project)) then nullif(min(trim(project)), '') end as project_id,
        case when min(document) = max(document) then min(document) end as document
    from source.bill_lines
    group by bill

),

sources as (

    select document, case when min(primary_document) = max(primary_document) then min(primary_document) end as primary_document
    from source.document_lines
    group by document

),

contracts as (

    select bill, case when min(document) = max(document) then min(document) end as document
    from source.primary_document_bills
    group by bill

),

releases as (

    select released_bill, case when min(retained_bill) = max(retained_bill) then min(retained_bill) end as retained_bill
    from source.ap_retainage_releases
    where nullif(trim(released_bill), '') is not null
    group by released_bill

),

paid as (

    select details.bill, sum(details.amount) as amount, max(coalesce(payments.txn_paid_date, payments.txn_date)) as paid_on
    from source.ap_payment_details as details
    inner join source.ap_payments as payments on payments.key = details.payment
    where lower(trim(payments.status)) in ('posted', 'complete', 'completed', 'confirmed', 'cleared', 'c')
    group by details.bill

),

adjusted as (

    select adjustment,
        case when min(trim(project)) = max(trim(project)) then nullif(min(trim(project)), '') end as project_id,
        bool_or(lower(adjustment_type) like '%debit%') as is_debit, bool_or(lower(adjustment_type) like '%credit%') as is_credit
    from source.ap_adjustment_lines
    group by adjustment

),

documents as (

    select
        concat('bill|', bills.key) as record_id, bills.key, firm_status('bills', bills.status) as firm_status, bills.status as state,
        bills.bill_number as number, bills.vendor, lines.project_id,
        coalesce(contracts.document, sources.primary_document, lines.document, bills.purchasing_document) as document,
        bills.created_date as invoice_date, bills.due_date, bills.posting_date, bills.currency,
        releases.released_bill is not null as is_release, releases.retained_bill,
        coalesce(lines.gross_amount, bills.total_txn_amount) as billed_amount, coalesce(lines.tax_amount, cast(0 as decimal(24, 6))) as tax_amount,
        coalesce(bills.retained_amount, lines.retained_amount, cast(0 as decimal(24, 6))) as retained_amount,
        case
            when coalesce(bills.retained_amount, cast(0 as decimal(24, 6))) <> 0 and lines.total_amount = bills.total_txn_amount and
                bills.total_txn_amount_due = bills.total_txn_amount - coalesce(bills.total_txn_amount_paid, cast(0 as decimal(24, 6)))
                then bills.total_txn_amount_due - (bills.retained_amount - coalesce(bills.released_amount, cast(0 as decimal(24, 6))))
            else bills.total_txn_amount_due
        end as due_amount,
        coalesce(paid.amount, cast(0 as decimal(24, 6))) as paid_amount, paid.paid_on, false as is_credit,
        bills.created_date_time, bills.modified_date_time
    from source.bills as bills
    left join lines on lines.bill = bills.key
    left join contracts on contracts.bill = bills.key
    left join sources on sources.document = coalesce(lines.document, bills.purchasing_document)
    left join releases on releases.released_bill = bills.key
    left join paid on paid.bill = bills.key

    union all

    select
        concat('adjustment|', adjustments.key), adjustments.key, firm_status('ap_adjustments', adjustments.status), adjustments.status,
        adjustments.adjustment_number, adjustments.vendor, adjusted.project_id, null,
        adjustments.created_date, null, adjustments.posting_date, adjustments.currency, false, null,
        case
            when adjusted.is_debit and not coalesce(adjusted.is_credit, false) then -abs(adjustments.txn_total_entered)
            when adjusted.is_credit and not coalesce(adjusted.is_debit, false) then abs(adjustments.txn_total_entered)
            else adjustments.txn_total_entered
        end,
        cast(0 as decimal(24, 6)), cast(0 as decimal(24, 6)),
        case
            when adjusted.is_debit and not coalesce(adjusted.is_credit, false) then -abs(adjustments.txn_total_due)
            when adjusted.is_credit and not coalesce(adjusted.is_debit, false) then abs(adjustments.txn_total_due)
            else adjustments.txn_total_due
        end,
        coalesce(paid.amount, cast(0 as decimal(24, 6))), paid.paid_on, true, adjustments.created_date_time, adjustments.modified_date_time
    from source.ap_adjustments as adjustments
    left join adjusted on adjusted.adjustment = adjustments.key
    left join (
        select details.adjustment, sum(details.amount) as amount, max(coalesce(payments.txn_paid_date, payments.txn_date)) as paid_on
        from source.ap_payment_details as details
        inner join source.ap_payments as payments on payments.key = details.payment
        where details.adjustment is not null and details.bill is null and
            lower(trim(payments.status)) in ('posted', 'complete', 'completed', 'confirmed', 'cleared', 'c')
        group by details.adjustment
    ) as paid on paid.adjustment = adjustments.key

),

gone as (

    select split_part(trim(object_id), '--', 1) as key, max(deleted_at) as deleted_at
    from source.deletions
    where lower(trim(object_name)) = 'apbill'
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
            when lower(trim(state)) = 'declined' then 'rejected'
            when lower(trim(state)) in ('posted', 'partiallypaid', 'selected', 'a') then 'approved'
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
    case when judged.is_release then 'retainage_release' when judged.billed_amount < 0 then 'credit' else 'progress' end as kind,
    coalesce(nullif(trim(judged.number), ''), judged.key) as number,
    normalize_number(nullif(trim(judged.number), '')) as number_key,
    judged.project_id,
    nullif(trim(judged.vendor), '') as vendor_id,
    coalesce(judged.document, retained.document) as commitment_id,
    judged.invoice_date,
    judged.due_date,
    judged.approval_status,
    case when judged.approval_status in ('approved', 'closed') then periods.period end as posted_period,
    case when judged.is_release then cast(0 as decimal(24, 6)) else judged.billed_amount end as gross_amount,
    case when judged.is_release then -judged.billed_amount else judged.retained_amount end as retainage_amount,
    judged.tax_amount,
    case when judged.is_release then judged.billed_amount else judged.billed_amount - judged.retained_amount end as net_amount,
    case when judged.approval_status in ('approved', 'closed') then judged.paid_amount else cast(0 as decimal(24, 6)) end as paid_amount,
    case when judged.approval_status in ('approved', 'closed') then judged.due_amount else cast(0 as decimal(24, 6)) end as open_balance,
    end_of_day(judged.paid_on) as paid_at,
    nullif(trim(judged.currency), '') as currency
from judged
left join contracts as retained on judged.is_release and retained.bill = judged.retained_bill
left join periods on judged.posting_date between periods.start_date and periods.end_date
left anti join gone on
    concat('bill|', gone.key) = judged.record_id and gone.deleted_at > coalesce(judged.created_date_time, timestamp '1970-01-01')
