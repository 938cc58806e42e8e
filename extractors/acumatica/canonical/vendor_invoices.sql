-- title: Acumatica bills and adjustments
-- grain: one AP document
-- statuses: On Hold, Pending Approval, Rejected, Balanced, Pre-Released, Printed, Open, Closed, Scheduled, Under Reclassification, Voided, Reserved
-- Every document is a record, held ones too: a bill on hold is not missing. Only released ones (approved = open, closed = nothing left)
-- owe or pay money: open_balance and paid_amount of the others are 0. Compare amounts of released documents only.
-- A debit adjustment lowers what is owed: negative, kind credit.
-- net = amount less tax; gross = net and retainage, both without tax. Retainage is on the screen only: where its fields did not come,
-- gross and retainage are null, not 0.
--   amount 900.00, with retainage 1000.00 → gross 1000.00, retainage 100.00, net 900.00.
-- A retainage release bills nothing new: gross 0.00, retainage −100.00, net 100.00.
-- The commitment is that of the lines if all that name one agree; the project the header's, else the lines' by the same rule.
--   lines on SC-1 and SC-1 → SC-1; on SC-1 and SC-2 → null.
-- A retainage release names no commitment of its own: it is that of the bill whose retainage it releases.
-- Paid = released applications of payments that were not voided; one settled by a debit adjustment is not paid. A void counts once it
-- is released, for the document with its number and amount: bills and checks are numbered apart, so that a check 000123 and an
-- adjustment 000123 are two (see payments.sql). The check's history
-- counts; what the bill says of a check stands in where that history did not come.

with stated as (

    select *,
        coalesce(firm_status('bills', status), case
            when lower(trim(status)) in ('on hold', 'scheduled', 'reserved') then 'draft'
            when lower(trim(status)) in ('open', 'under reclassification') then 'approved'
            when lower(trim(status)) in ('rejected', 'closed') then lower(trim(status))
            when lower(trim(status)) = 'voided' then 'void' else 'pending'
        end) as approval_status
    from source.bills

),

bills as (

    select *, concat(trim(type), '|', trim(reference_nbr)) as record_id, nullif(trim(vendor_ref), '') as vendor_number,
        approval_status in ('approved', 'closed') as is_released,
        cast(case when lower(trim(type)) in ('debit adj.', 'debit adjustment', 'adr') then -1 else 1 end as decimal(1, 0)) as sign,
        amount - coalesce(tax_total, 0) as untaxed_amount,
        case
            when is_retainage_document then coalesce(tax_total, 0) - amount
            when retainage_apply = false then 0
            else coalesce(amount_with_retainage - amount, retainage_total) - coalesce(retained_tax_total, 0)
        end as retained_amount
    from stated

),

lines as (

    select concat(trim(type), '|', trim(reference_nbr)) as record_id, nullif(nullif(trim(project), ''), 'X') as project_id,
        case when lower(trim(po_order_type)) in ('subcontract', 'rs') then '' else concat(trim(po_order_type), '|') end ||
            nullif(trim(po_order_nbr), '') as commitment_id
    from source.bill_lines

),

named as (

    select record_id,
        case when min(project_id) = max(project_id) then min(project_id) end as project_id,
        case when min(commitment_id) = max(commitment_id) then min(commitment_id) end as commitment_id
    from lines
    group by record_id

),

documents as (

    select trim(type) as type, trim(reference_nbr) as reference_nbr, lower(trim(type)) as kind, lower(trim(status)) as status,
        abs(payment_amount) as amount, application_date,
        lower(trim(type)) like 'void%' or lower(trim(type)) in ('vck', 'vrf') as is_void
    from source.checks

),

-- What a check says of its applications counts; what the bill says of them stands in where that did not come.
applications as (

    select 1 as choice, concat(trim(bill_type), '|', trim(bill_nbr)) as record_id, trim(type) as type,
        trim(reference_nbr) as reference_nbr, amount_paid
    from source.check_history

    union all

    select 2 as choice, concat(trim(type), '|', trim(reference_nbr)) as record_id, trim(payment_type) as type,
        trim(payment_nbr) as reference_nbr, amount_paid
    from source.bill_applications

),

paid as (

    select told.record_id, sum(told.amount_paid) as amount, max(documents.application_date) as paid_on
    from (select *, min(choice) over (partition by type, reference_nbr) as first_choice from applications) as told
    inner join documents on told.type = documents.type and told.reference_nbr = documents.reference_nbr
    left anti join documents as voids on
        voids.is_void and voids.reference_nbr = documents.reference_nbr and voids.amount = documents.amount and
        coalesce(voids.status, '') not in (
            'on hold', 'pending approval', 'rejected', 'pending print', 'printed', 'balanced', 'reserved', 'pending processing'
        )
    where told.choice = told.first_choice and documents.status in ('open', 'closed') and not documents.is_void and
        not (kind like '%adj%' or kind in ('adr', 'acr'))
    group by told.record_id

)

select
    bills.record_id, last_modified_date_time as updated_at,
    case
        when is_retainage_document then 'retainage_release'
        when sign < 0 then 'credit'
        when lower(trim(type)) in ('prepayment', 'ppm') then 'prepayment' else 'progress'
    end as kind,
    coalesce(vendor_number, trim(reference_nbr)) as number, normalize_number(vendor_number) as number_key,
    coalesce(nullif(nullif(trim(project), ''), 'X'), named.project_id) as project_id, nullif(trim(vendor), '') as vendor_id,
    coalesce(named.commitment_id, originals.commitment_id) as commitment_id,
    date as invoice_date, due_date,
    approval_status,
    case when is_released then nullif(trim(post_period), '') end as posted_period,
    (untaxed_amount + retained_amount) * sign as gross_amount, retained_amount * sign as retainage_amount,
    tax_total * sign as tax_amount, untaxed_amount * sign as net_amount,
    coalesce(paid.amount, 0) * sign as paid_amount, end_of_day(paid.paid_on) as paid_at,
    case when is_released then balance * sign else 0 end as open_balance,
    nullif(trim(currency_id), '') as currency
from bills
left join named on bills.record_id = named.record_id
left join named as originals on is_retainage_document and originals.record_id = concat(trim(type), '|', trim(original_ref_nbr))
left join paid on is_released and bills.record_id = paid.record_id
