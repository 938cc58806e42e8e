-- title:    Documents of PM that may be open
-- question: Which approved requisitions and owner invoices does the ERP have to have, and what do they come to?
-- grain:    one row per approved document
-- parameters: connector_profile
-- columns:
--   ledger             ap or ar
--   record_id          PM's record id
--   project_id         PM's record id of the project
--   party_id           PM's record id of the vendor; null for owner invoices
--   due_date           as PM tells it
--   dated              the document's date
--   gross_amount       of this period; null where it is not told
--   tax_amount         tax; null where it is not told
--   payable            net and the tax that both sides share, without stored materials that the connector leaves out
--   paid               paid until now; where PM tells only whether a document is paid, what the ERP knows of a part, and of the whole
--   retainage_amount   retained on it
--   currency           of the amounts
--   moved_at           when it was approved, UTC
--   paid_at            the last payment, UTC
--   payment_unit       what PM's payments on it are compared in (vendor_invoice_settlements)

with connector as (

    select setting_text('connector_profile') <> 'procore-acumatica-edge' as shares_tax

),

-- What the owner has paid of an invoice, in part or in full.
received as (

    select links.group_id, sum(receivables.paid_amount) as amount,
        sum(receivables.net_amount + coalesce(receivables.tax_amount, 0)) - sum(receivables.paid_amount) >
            setting_decimal('amount_tolerance') as is_part
    from (select distinct group_id, erp_id from link.owner_invoices) as links
    inner join erp.owner_invoices as receivables on receivables.record_id = links.erp_id
    where coalesce(receivables.approval_status, 'pending') not in ('void', 'rejected')
    group by links.group_id
    having sum(receivables.paid_amount) > setting_decimal('amount_tolerance')

)

-- Payments that name no invoice are compared by commitment, and so are the invoices of that commitment. Procore Edge for Acumatica
-- never sends a release of retainage, and no tax: what the ERP adds is nothing that PM could owe.
select 'ap' as ledger, invoices.record_id, invoices.project_id, invoices.vendor_id as party_id, invoices.due_date,
    coalesce(invoices.invoice_date, invoices.period_end, firm_day(invoices.approved_at)) as dated,
    invoices.gross_amount, invoices.tax_amount,
    invoices.net_amount + case when shares_tax then coalesce(invoices.tax_amount, 0) else 0 end - coalesce(materials.net_amount, 0) as payable,
    settlements.paid_amount + settlements.allocated_amount + settlements.released_amount + case
        when settlements.group_id = invoices.record_id then coalesce(settlements.erp_settled_amount - settlements.erp_paid_amount, 0) else 0
    end as paid,
    invoices.retainage_amount - coalesce(materials.retainage_amount, 0) as retainage_amount, invoices.currency,
    coalesce(invoices.approved_at, invoices.updated_at, invoices.created_at) as moved_at, invoices.paid_at,
    settlements.unit_id as payment_unit
from pm.vendor_invoices as invoices
cross join connector
inner join link.vendor_invoice_settlements as settlements on settlements.pm_id = invoices.record_id
left join (select distinct pm_id from link.vendor_invoices) as linked on linked.pm_id = invoices.record_id
left join link.unsynced_materials as materials on materials.invoice_id = invoices.record_id
where
    invoices.approval_status in ('approved', 'closed') and
    (
        linked.pm_id is not null or coalesce(invoices.kind, 'progress') <> 'retainage_release' or
        setting_text('connector_profile') <> 'procore-acumatica-edge'
    )

union all

select 'ar' as ledger, invoices.record_id, invoices.project_id, cast(null as varchar) as party_id, invoices.due_date,
    coalesce(invoices.billing_date, invoices.period_end, firm_day(invoices.approved_at)) as dated, invoices.gross_amount, invoices.tax_amount,
    invoices.net_amount + case when shares_tax then coalesce(invoices.tax_amount, 0) else 0 end as payable,
    case
        when invoices.is_paid is null then coalesce(invoices.paid_amount, 0)
        when invoices.is_paid or received.is_part then coalesce(received.amount, case when invoices.is_paid then invoices.net_amount end, 0)
        else 0
    end as paid,
    invoices.retainage_amount, invoices.currency,
    coalesce(invoices.approved_at, invoices.updated_at, invoices.created_at) as moved_at, cast(null as timestamp with time zone) as paid_at,
    cast(null as varchar) as payment_unit
from pm.owner_invoices as invoices
cross join connector
left join received on received.group_id = invoices.record_id
left join shared.joined_projects as jobs on jobs.pm_id = invoices.project_id
where invoices.approval_status in ('approved', 'closed') and not setting_list_contains('not_mapped', 'erp.owner_invoices') and
    not coalesce(setting_list_contains('not_mapped', jobs.erp_source || '.owner_invoices'), false)
