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

with bills as (

    select
        *,
        concat(trim(type), '|', trim(reference_nbr)) as record_id,
        case when lower(trim(type)) in ('debit adj.', 'debit adjustment', 'adr') then cast(-1 as decimal(1, 0)) else cast(1 as decimal(1, 0)) end as sign,
        coalesce(lower(trim(status)), '') in ('open', 'closed', 'under reclassification') as is_released
    from source.bills

),

lines as (

    select
        concat(trim(type), '|', trim(reference_nbr)) as record_id,
        nullif(nullif(trim(project), ''), 'X') as project,
        case
            when nullif(trim(po_order_nbr), '') is null then null
            when lower(trim(po_order_type)) in ('subcontract', 'rs') then trim(po_order_nbr)
            else concat(trim(po_order_type), '|', trim(po_order_nbr))
        end as commitment_id
    from source.bill_lines

),

line_references as (

    select
        record_id,
        case when min(project) = max(project) then min(project) end as project,
        case when min(commitment_id) = max(commitment_id) then min(commitment_id) end as commitment_id
    from lines
    group by record_id

),

documents as (

    select trim(type) as type, lower(trim(type)) as kind, trim(reference_nbr) as reference_nbr, lower(trim(status)) as status,
        payment_amount, application_date
    from source.checks

),

voids as (

    select reference_nbr, abs(payment_amount) as amount
    from documents
    where
        (kind like 'void%' or kind in ('vck', 'vrf')) and
        coalesce(status, '') not in (
            'on hold', 'pending approval', 'rejected', 'pending print', 'printed', 'balanced', 'reserved', 'pending processing'
        )
    group by 1, 2

),

checks as (

    select documents.type, documents.reference_nbr, documents.application_date
    from documents
    left anti join voids on documents.reference_nbr = voids.reference_nbr and abs(documents.payment_amount) = voids.amount
    where
        status in ('open', 'closed') and
        not (kind like 'void%' or kind in ('vck', 'vrf')) and
        not (kind like '%adj%' or kind in ('adr', 'acr'))

),

history as (

    select concat(trim(bill_type), '|', trim(bill_nbr)) as record_id, trim(type) as type, trim(reference_nbr) as reference_nbr,
        sum(amount_paid) as amount
    from source.check_history
    group by 1, 2, 3

),

told_by_bills as (

    select concat(trim(type), '|', trim(reference_nbr)) as record_id, trim(payment_type) as type, trim(payment_nbr) as reference_nbr,
        sum(amount_paid) as amount
    from source.bill_applications
    group by 1, 2, 3

),

applications as (

    select record_id, type, reference_nbr, amount from history

    union all

    select told_by_bills.record_id, told_by_bills.type, told_by_bills.reference_nbr, told_by_bills.amount
    from told_by_bills
    left anti join history
        on told_by_bills.type = history.type and told_by_bills.reference_nbr = history.reference_nbr

),

paid as (

    select applications.record_id, sum(applications.amount) as amount, max(checks.application_date) as paid_on
    from applications
    inner join checks on applications.type = checks.type and applications.reference_nbr = checks.reference_nbr
    group by applications.record_id

),

measured as (

    select
        bills.*,
        (bills.amount - coalesce(bills.tax_total, 0)) * bills.sign as net_amount,
        case
            when bills.is_retainage_document then -(bills.amount - coalesce(bills.tax_total, 0)) * bills.sign
            when bills.retainage_apply = false then cast(0 as decimal(24, 6))
            else
                (
                    coalesce(bills.amount_with_retainage - bills.amount, bills.retainage_total) -
                    coalesce(bills.retained_tax_total, 0)
                ) * bills.sign
        end as retainage_amount
    from bills

)

select
    measured.record_id,
    measured.last_modified_date_time as updated_at,
    case
        when measured.is_retainage_document then 'retainage_release'
        when measured.sign < 0 then 'credit'
        when lower(trim(measured.type)) in ('prepayment', 'ppm') then 'prepayment'
        else 'progress'
    end as kind,
    coalesce(nullif(trim(measured.vendor_ref), ''), trim(measured.reference_nbr)) as number,
    normalize_number(nullif(trim(measured.vendor_ref), '')) as number_key,
    coalesce(nullif(nullif(trim(measured.project), ''), 'X'), line_references.project) as project_id,
    nullif(trim(measured.vendor), '') as vendor_id,
    coalesce(line_references.commitment_id, originals.commitment_id) as commitment_id,
    measured.date as invoice_date,
    measured.due_date,
    case lower(trim(measured.status))
        when 'on hold' then 'draft'
        when 'scheduled' then 'draft'
        when 'reserved' then 'draft'
        when 'rejected' then 'rejected'
        when 'open' then 'approved'
        when 'under reclassification' then 'approved'
        when 'closed' then 'closed'
        when 'voided' then 'void'
        else 'pending'
    end as approval_status,
    case when measured.is_released then nullif(trim(measured.post_period), '') end as posted_period,
    measured.net_amount + measured.retainage_amount as gross_amount,
    measured.retainage_amount,
    measured.tax_total * measured.sign as tax_amount,
    measured.net_amount,
    case when measured.is_released then coalesce(paid.amount, 0) * measured.sign else cast(0 as decimal(24, 6)) end as paid_amount,
    case when measured.is_released then measured.balance * measured.sign else cast(0 as decimal(24, 6)) end as open_balance,
    case when measured.is_released then end_of_day(paid.paid_on) end as paid_at,
    nullif(trim(measured.currency_id), '') as currency
from measured
left join line_references on measured.record_id = line_references.record_id
left join line_references as originals on
    measured.is_retainage_document and
    originals.record_id = concat(trim(measured.type), '|', trim(measured.original_ref_nbr))
left join paid on measured.record_id = paid.record_id
