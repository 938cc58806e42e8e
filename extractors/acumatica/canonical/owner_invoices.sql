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

with stated as (

    select *,
        coalesce(firm_status('invoices', status), case
            when lower(trim(status)) in ('on hold', 'scheduled', 'reserved') then 'draft'
            when lower(trim(status)) = 'open' then 'approved'
            when lower(trim(status)) in ('rejected', 'closed') then lower(trim(status))
            when lower(trim(status)) in ('voided', 'canceled', 'cancelled') then 'void' else 'pending'
        end) as approval_status
    from source.invoices

),

invoices as (

    select *, concat(trim(type), '|', trim(reference_nbr)) as record_id, nullif(nullif(trim(project), ''), 'X') as project_id,
        coalesce(nullif(trim(customer_order), ''), trim(reference_nbr)) as number,
        cast(case when lower(trim(type)) in ('credit memo', 'crm') then -1 else 1 end as decimal(1, 0)) as sign,
        approval_status in ('approved', 'closed') as is_released, amount - coalesce(tax_total, 0) as untaxed_amount,
        case
            when is_retainage_document then coalesce(tax_total, 0) - amount
            when retainage_apply = false then 0
            else coalesce(amount_with_retainage - amount, retainage_total) - coalesce(retained_tax_total, 0)
        end as retained_amount
    from stated

),

pro_formas as (

    select concat(trim(ar_doc_type), '|', trim(ar_ref_nbr)) as record_id, trim(ref_nbr) as ref_nbr, amount_due,
        try_cast(trim(application_nbr) as bigint) as application_number, nullif(trim(currency_id), '') as currency,
        row_number() over (partition by trim(ar_doc_type), trim(ar_ref_nbr) order by last_modified_date_time desc nulls last, ref_nbr desc)
            as position
    from source.pro_forma_invoices
    where nullif(trim(ar_ref_nbr), '') is not null

),

approvals as (

    select trim(ref_nbr) as ref_nbr, max(coalesce(nullif(trim(approved_by_name), ''), nullif(trim(approved_by), ''))) as approved_by,
        max(case when date = date_trunc('day', date) then end_of_day(cast(date as date)) else date end) as approved_at
    from source.pro_forma_approvals
    where lower(trim(status)) = 'approved'
    group by 1

),

documents as (

    select trim(type) as type, trim(reference_nbr) as reference_nbr, lower(trim(type)) as kind, lower(trim(status)) as status,
        abs(payment_amount) as amount, lower(trim(type)) like 'void%' or lower(trim(type)) in ('rpm', 'vrf') as is_void
    from source.payments

),

-- What a payment says of its applications counts; what the invoice says of them stands in where that did not come.
applications as (

    select 1 as choice, concat(trim(invoice_type), '|', trim(invoice_nbr)) as record_id, trim(type) as type,
        trim(reference_nbr) as reference_nbr, amount_paid
    from source.payment_history

    union all

    select 2 as choice, concat(trim(type), '|', trim(reference_nbr)) as record_id, trim(payment_type) as type,
        trim(payment_nbr) as reference_nbr, amount_paid
    from source.invoice_applications

),

paid as (

    select told.record_id, sum(told.amount_paid) as amount
    from (select *, min(choice) over (partition by type, reference_nbr) as first_choice from applications) as told
    inner join documents on told.type = documents.type and told.reference_nbr = documents.reference_nbr
    left anti join documents as voids on
        voids.is_void and voids.reference_nbr = documents.reference_nbr and voids.amount = documents.amount and
        coalesce(voids.status, '') not in (
            'on hold', 'pending approval', 'rejected', 'pending print', 'printed', 'balanced', 'reserved', 'pending processing'
        )
    where told.choice = told.first_choice and documents.status in ('open', 'closed') and not documents.is_void and
        not (kind like '%memo%' or kind like '%write%off%' or kind like '% wo' or kind in ('crm', 'smb', 'smc'))
    group by told.record_id

)

select
    invoices.record_id, created_date_time as created_at, last_modified_date_time as updated_at,
    case
        when is_retainage_document then 'retainage_release'
        when sign < 0 then 'credit'
        when lower(trim(type)) in ('prepayment', 'ppm', 'prepmt. invoice') then 'prepayment' else 'progress'
    end as kind,
    number, normalize_number(number) as number_key,
    project_id, project_id as contract_id, application_number, date as billing_date, due_date,
    approval_status,
    case when is_released then approved_at end as approved_at, approved_by,
    case when is_released then nullif(trim(post_period), '') end as posted_period,
    (untaxed_amount + retained_amount) * sign as gross_amount, retained_amount * sign as retainage_amount,
    tax_total * sign as tax_amount, untaxed_amount * sign as net_amount, amount_due as current_payment_due,
    case when is_released then coalesce(paid.amount, 0) * sign else 0 end as paid_amount,
    case when is_released then balance * sign else 0 end as open_balance,
    coalesce(nullif(trim(currency_id), ''), currency) as currency
from invoices
left join pro_formas on invoices.record_id = pro_formas.record_id and pro_formas.position = 1
left join approvals on pro_formas.ref_nbr = approvals.ref_nbr
left join paid on invoices.record_id = paid.record_id
