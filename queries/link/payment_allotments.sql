-- title:    What PM's payments pay of each vendor invoice
-- question: Which invoices do payments settle that name none?
-- grain:    one row per PM vendor invoice, void and rejected ones apart
-- parameters: connector_profile
-- columns:
--   pm_id              PM's record_id
--   commitment_id      PM's record id of the commitment
--   payable_amount     net and tax in PM, without the tax and the stored materials that the connector leaves out
--   paid_amount        paid by payments that name the invoice
--   released_amount    paid on PM's own invoice of a release, known by the ERP's check (release_payments)
--   allocated_amount   other payments of the commitment that name no invoice, allotted to its oldest invoices first
--   currency           of the amounts

with applied as (

    select payment_applications.invoice_id, sum(payment_applications.amount) as amount
    from pm.payment_applications
    inner join pm.payments on payments.record_id = payment_applications.payment_id
    where payments.voided_at is null and coalesce(payments.status, 'paid') = 'paid'
    group by payment_applications.invoice_id

),

-- Procore Edge for Acumatica sends no tax and no stored materials: nobody will ever pay them by this invoice.
invoices as (

    select
        vendor_invoices.record_id as pm_id,
        vendor_invoices.commitment_id,
        coalesce(vendor_invoices.kind = 'retainage_release', false) as is_release,
        vendor_invoices.currency,
        coalesce(vendor_invoices.invoice_date, vendor_invoices.period_end, cast(vendor_invoices.created_at as date)) as dated,
        vendor_invoices.net_amount - coalesce(materials.net_amount, 0) +
            case when setting_text('connector_profile') = 'procore-acumatica-edge' then 0 else coalesce(vendor_invoices.tax_amount, 0) end
            as payable_amount,
        coalesce(vendor_invoices.paid_amount, applied.amount, 0) as paid_amount
    from pm.vendor_invoices
    left join applied on applied.invoice_id = vendor_invoices.record_id
    left join link.unsynced_materials as materials on materials.invoice_id = vendor_invoices.record_id
    where coalesce(vendor_invoices.approval_status, 'pending') not in ('void', 'rejected')

),

released as (

    select commitment_id, sum(amount) as amount from link.release_payments group by commitment_id

),

-- What PM paid on releases that only the ERP bills settles PM's own invoice of the release, if it has one, and no other.
pooled as (

    select
        invoices.*,
        greatest(payable_amount - invoices.paid_amount, 0) as open_amount,
        case when is_release then coalesce(released.amount, 0) else 0 end as release_pool,
        coalesce(
            greatest(
                commitments.paid_amount - coalesce(released.amount, 0) -
                    sum(invoices.paid_amount) over (partition by invoices.commitment_id),
                0
            ),
            0
        ) as pool
    from invoices
    left join pm.commitments on commitments.record_id = invoices.commitment_id
    left join released on released.commitment_id = invoices.commitment_id

),

releases as (

    select
        pooled.*,
        least(greatest(release_pool - coalesce(sum(open_amount) over earlier, 0), 0), open_amount) as released_amount
    from pooled
    window earlier as (
        partition by commitment_id, is_release order by dated, pm_id rows between unbounded preceding and 1 preceding
    )

),

-- A Procore contract payment may name no requisition. Then only the commitment's total can be compared: 150 paid on two
-- requisitions of 100 settles the older and half of the younger.
queued as (

    select
        releases.*,
        open_amount - released_amount as still_open,
        coalesce(sum(open_amount - released_amount) over earlier, 0) as open_before
    from releases
    window earlier as (partition by commitment_id order by dated, pm_id rows between unbounded preceding and 1 preceding)

)

select
    pm_id,
    commitment_id,
    cast(payable_amount as decimal(18,2)) as payable_amount,
    cast(paid_amount as decimal(18,2)) as paid_amount,
    cast(case when commitment_id is null then 0 else released_amount end as decimal(18,2)) as released_amount,
    cast(case when commitment_id is null then 0 else least(greatest(pool - open_before, 0), still_open) end as decimal(18,2)) as allocated_amount,
    currency
from queued
