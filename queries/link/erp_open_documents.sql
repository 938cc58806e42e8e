-- title:    Documents of the ERP that may be open
-- question: Which released bills and owner invoices ought PM to have, and what do they come to?
-- grain:    one row per released document
-- parameters: connector_profile
-- columns:
--   ledger             ap or ar
--   record_id          the ERP's record id
--   project_id         PM's record id of the project
--   party_id           the ERP's record id of the vendor; null for owner invoices
--   due_date           as the ERP tells it
--   dated              the document's date
--   gross_amount       of this period; null where it is not told
--   tax_amount         tax; null where it is not told
--   payable            net and the tax that both sides share
--   paid               paid until now
--   retainage_amount   retained on it
--   currency           of the amounts
--   moved_at           when it was entered, UTC
--   paid_at            the last payment, UTC

-- Tax counts where PM has some too: what no document of a PM connection has is the ERP's own, and that of a kind without a place for it (I3, I4).
with taxed as (

    select 'ap' as ledger, coalesce(source, '') as source from pm.vendor_invoices where tax_amount <> 0
    union
    select 'ar' as ledger, coalesce(source, '') as source from pm.owner_invoices where tax_amount <> 0

),

sharing as (

    select * from taxed where setting_text('connector_profile') <> 'procore-acumatica-edge'

),

linked as (

    select links.erp_id, bool_and(coalesce(invoices.has_tax, true)) as has_tax
    from link.vendor_invoices as links
    left join pm.vendor_invoices as invoices on invoices.record_id = links.pm_id
    group by links.erp_id

),

commitments as (

    select links.erp_id, min(orders.project_id) as project_id, min(coalesce(orders.source, '')) as pm_source
    from link.commitments as links
    inner join pm.commitments as orders on orders.record_id = links.pm_id
    group by links.erp_id

),

jobs as (

    select jobs.erp_id, jobs.pm_id, coalesce(projects.source, '') as pm_source
    from link.erp_projects as jobs
    inner join pm.projects on projects.record_id = jobs.pm_id

)

-- Bills outside synced commitments are the ERP's own. One whose lines name several projects stands in its commitment's. A release that
-- only the ERP bills moves money from retained to due there alone: PM cannot follow, and nothing is wrong.
select 'ap' as ledger, bills.record_id, coalesce(jobs.pm_id, commitments.project_id) as project_id, bills.vendor_id as party_id, bills.due_date,
    bills.invoice_date as dated, bills.gross_amount, case when sharing.source is not null then bills.tax_amount end as tax_amount,
    bills.net_amount + case when sharing.source is not null then coalesce(bills.tax_amount, 0) else 0 end as payable,
    coalesce(bills.paid_amount, 0) as paid, bills.retainage_amount, bills.currency,
    coalesce(bills.created_at, end_of_day(bills.invoice_date)) as moved_at, bills.paid_at
from erp.vendor_invoices as bills
left join jobs on jobs.erp_id = bills.project_id
left join commitments on commitments.erp_id = bills.commitment_id
left join linked on linked.erp_id = bills.record_id
left join sharing on
    sharing.ledger = 'ap' and
    sharing.source = coalesce(jobs.pm_source, commitments.pm_source) and
    coalesce(linked.has_tax, true)
where
    bills.approval_status in ('approved', 'closed') and
    (linked.erp_id is not null or commitments.erp_id is not null and coalesce(bills.kind, 'progress') <> 'retainage_release')

union all

select 'ar' as ledger, invoices.record_id, jobs.pm_id as project_id, cast(null as varchar) as party_id, invoices.due_date,
    invoices.billing_date as dated, invoices.gross_amount, case when sharing.source is not null then invoices.tax_amount end as tax_amount,
    invoices.net_amount + case when sharing.source is not null then coalesce(invoices.tax_amount, 0) else 0 end as payable, coalesce(invoices.paid_amount, 0) as paid, invoices.retainage_amount,
    invoices.currency, coalesce(invoices.created_at, end_of_day(invoices.billing_date)) as moved_at,
    cast(null as timestamp with time zone) as paid_at
from erp.owner_invoices as invoices
left join jobs on jobs.erp_id = invoices.project_id
left join sharing on sharing.ledger = 'ar' and sharing.source = jobs.pm_source
left join (select distinct erp_id from link.owner_invoices) as linked on linked.erp_id = invoices.record_id
where
    invoices.approval_status in ('approved', 'closed') and
    (linked.erp_id is not null or jobs.pm_id is not null and coalesce(invoices.kind, 'progress') <> 'retainage_release')
