-- title: Acumatica AR invoices and memos
-- grain: one AR document
-- statuses: On Hold, Credit Hold, Pending Approval, Rejected, Pending Print, Pending Email, Balanced, Open, Closed, Scheduled, Voided, Reserved, Canceled
-- Every document is a record, held ones too: an invoice on hold is not missing. Only released ones (approved = open, closed = nothing
-- left) are owed: open_balance and paid_amount of the others are 0. Compare amounts of released documents only.
-- A credit memo lowers what is owed: negative, kind credit.
-- net = amount less tax; gross = net and retainage, both without tax. Retainage is on the screen only: where its fields did not come,
-- gross and retainage are null, not 0.
--   amount 900.00, with retainage 1000.00 → gross 1000.00, retainage 100.00, net 900.00.
-- A retainage release bills nothing new: gross 0.00, retainage −100.00, net 100.00.
-- The contract is the project (see prime_contracts.sql). The application's number is on the pro forma that became this invoice; of a
-- corrected one the newest revision. Its approval is the invoice's: AR documents tell none of their own. Of the G702 it prints line 8.
-- Paid = released applications of payments that were not voided (see payments.sql); one settled by a credit memo or written off is not
-- paid.

with invoices as (

    select
        *,
        concat(trim(type), '|', trim(reference_nbr)) as record_id,
        nullif(nullif(trim(project), ''), 'X') as project_id,
        case when lower(trim(type)) in ('credit memo', 'crm') then cast(-1 as decimal(1, 0)) else cast(1 as decimal(1, 0)) end as sign,
        coalesce(lower(trim(status)), '') in ('open', 'closed') as is_released
    from source.invoices

),

pro_formas as (

    select concat(trim(ar_doc_type), '|', trim(ar_ref_nbr)) as record_id, trim(ref_nbr) as ref_nbr,
        try_cast(trim(application_nbr) as bigint) as application_number, nullif(trim(currency_id), '') as currency, amount_due,
        row_number() over (
            partition by trim(ar_doc_type), trim(ar_ref_nbr) order by last_modified_date_time desc nulls last, ref_nbr desc
        ) as position
    from source.pro_forma_invoices
    where nullif(trim(ar_ref_nbr), '') is not null

),

approvals as (

    select
        trim(ref_nbr) as ref_nbr,
        max(case when date = date_trunc('day', date) then end_of_day(cast(date as date)) else date end) as approved_at,
        max(coalesce(nullif(trim(approved_by_name), ''), nullif(trim(approved_by), ''))) as approved_by
    from source.pro_forma_approvals
    where lower(trim(status)) = 'approved'
    group by 1

),

documents as (

    select trim(type) as type, lower(trim(type)) as kind, trim(reference_nbr) as reference_nbr, lower(trim(status)) as status,
        payment_amount
    from source.payments

),

voids as (

    select reference_nbr, abs(payment_amount) as amount
    from documents
    where
        (kind like 'void%' or kind in ('rpm', 'vrf')) and
        coalesce(status, '') not in (
            'on hold', 'pending approval', 'rejected', 'pending print', 'printed', 'balanced', 'reserved', 'pending processing'
        )
    group by 1, 2

),

payments as (

    select documents.type, documents.reference_nbr
    from documents
    left anti join voids on documents.reference_nbr = voids.reference_nbr and abs(documents.payment_amount) = voids.amount
    where
        status in ('open', 'closed') and
        not (kind like 'void%' or kind in ('rpm', 'vrf')) and
        not (kind like '%memo%' or kind like '%write%off%' or kind like '% wo' or kind in ('crm', 'smb', 'smc'))

),

history as (

    select concat(trim(invoice_type), '|', trim(invoice_nbr)) as record_id, trim(type) as type, trim(reference_nbr) as reference_nbr,
        sum(amount_paid) as amount
    from source.payment_history
    group by 1, 2, 3

),

told_by_invoices as (

    select concat(trim(type), '|', trim(reference_nbr)) as record_id, trim(payment_type) as type, trim(payment_nbr) as reference_nbr,
        sum(amount_paid) as amount
    from source.invoice_applications
    group by 1, 2, 3

),

applications as (

    select record_id, type, reference_nbr, amount from history

    union all

    select told_by_invoices.record_id, told_by_invoices.type, told_by_invoices.reference_nbr, told_by_invoices.amount
    from told_by_invoices
    left anti join history
        on told_by_invoices.type = history.type and told_by_invoices.reference_nbr = history.reference_nbr

),

paid as (

    select applications.record_id, sum(applications.amount) as amount
    from applications
    inner join payments on applications.type = payments.type and applications.reference_nbr = payments.reference_nbr
    group by applications.record_id

),

measured as (

    select
        invoices.*,
        (invoices.amount - coalesce(invoices.tax_total, 0)) * invoices.sign as net_amount,
        case
            when invoices.is_retainage_document then -(invoices.amount - coalesce(invoices.tax_total, 0)) * invoices.sign
            when invoices.retainage_apply = false then cast(0 as decimal(24, 6))
            else
                (
                    coalesce(invoices.amount_with_retainage - invoices.amount, invoices.retainage_total) -
                    coalesce(invoices.retained_tax_total, 0)
                ) * invoices.sign
        end as retainage_amount
    from invoices

)

select
    measured.record_id,
    measured.created_date_time as created_at,
    measured.last_modified_date_time as updated_at,
    case
        when measured.is_retainage_document then 'retainage_release'
        when measured.sign < 0 then 'credit'
        when lower(trim(measured.type)) in ('prepayment', 'ppm', 'prepmt. invoice') then 'prepayment'
        else 'progress'
    end as kind,
    coalesce(nullif(trim(measured.customer_order), ''), trim(measured.reference_nbr)) as number,
    normalize_number(coalesce(nullif(trim(measured.customer_order), ''), trim(measured.reference_nbr))) as number_key,
    measured.project_id,
    measured.project_id as contract_id,
    pro_formas.application_number,
    measured.date as billing_date,
    measured.due_date,
    case lower(trim(measured.status))
        when 'on hold' then 'draft'
        when 'scheduled' then 'draft'
        when 'reserved' then 'draft'
        when 'rejected' then 'rejected'
        when 'open' then 'approved'
        when 'closed' then 'closed'
        when 'voided' then 'void'
        when 'canceled' then 'void'
        when 'cancelled' then 'void'
        else 'pending'
    end as approval_status,
    case when lower(trim(measured.status)) in ('open', 'closed') then approvals.approved_at end as approved_at,
    approvals.approved_by,
    case when measured.is_released then nullif(trim(measured.post_period), '') end as posted_period,
    measured.net_amount + measured.retainage_amount as gross_amount,
    measured.retainage_amount,
    measured.tax_total * measured.sign as tax_amount,
    measured.net_amount,
    pro_formas.amount_due as current_payment_due,
    case when measured.is_released then coalesce(paid.amount, 0) * measured.sign else cast(0 as decimal(24, 6)) end as paid_amount,
    case when measured.is_released then measured.balance * measured.sign else cast(0 as decimal(24, 6)) end as open_balance,
    coalesce(nullif(trim(measured.currency_id), ''), pro_formas.currency) as currency
from measured
left join pro_formas on measured.record_id = pro_formas.record_id and pro_formas.position = 1
left join approvals on pro_formas.ref_nbr = approvals.ref_nbr
left join paid on measured.record_id = paid.record_id
