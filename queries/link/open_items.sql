-- title:    Open receivables and payables of both sides, item by item
-- question: What is open on each linked document, on each side, at the accounting date?
-- grain:    one row per linked group, and per unlinked document that the other side ought to have
-- columns:
--   ledger             ap or ar
--   item_id            PM's record id of the group, else the document's record id
--   project_id         PM's record id of the project
--   party_id           PM's record id of the vendor; null for owner invoices
--   due_date           the ERP's for linked documents, else PM's own, else its date and the default terms
--   pm_open            net and tax less what PM shows as paid
--   erp_open           net and tax less what the ERP has paid
--   pm_retainage       retained in PM, releases taken off
--   erp_retainage      retained in the ERP
--   explained_by       the exception that a difference of what is open follows from; of two the larger
--   retainage_explained_by the exception that a difference of what is retained follows from
--   is_in_flight       the exception that explains it is still within its grace: nothing differs yet
--   currency_differs   the sides use different currencies (I3, I4): their amounts say nothing to each other
--   currency           of the amounts

with dated_after as (

    select applications.invoice_id, 'pm' as side, sum(applications.amount) as amount
    from pm.payment_applications as applications
    inner join pm.payments on payments.record_id = applications.payment_id
    cross join meta.clock
    where payments.payment_date > clock.accounting_date and coalesce(payments.status, 'paid') = 'paid'
    group by applications.invoice_id

    union all

    select applications.invoice_id, 'erp' as side, sum(applications.amount) as amount
    from erp.payment_applications as applications
    inner join erp.payments on payments.record_id = applications.payment_id
    cross join meta.clock
    where payments.payment_date > clock.accounting_date
    group by applications.invoice_id

),

groups as (

    select 'ap' as ledger, group_id, pm_id, erp_id from link.vendor_invoices
    union all
    select 'ar' as ledger, group_id, pm_id, erp_id from link.owner_invoices

),

pm_groups as (

    select ledger, pm_id, min(group_id) as group_id from groups group by ledger, pm_id

),

erp_groups as (

    select ledger, erp_id, min(group_id) as group_id from groups group by ledger, erp_id

),

connector as (

    select setting_text('connector_profile') <> 'procore-acumatica-edge' as shares_tax

),

-- Payments that name no invoice are compared by commitment, and so are the invoices of that commitment. Procore Edge for Acumatica
-- never sends a release of retainage, and no tax: what the ERP adds is nothing that PM could owe.
pm_documents as (

    select 'ap' as ledger, invoices.record_id, invoices.project_id, invoices.vendor_id as party_id, invoices.due_date,
        coalesce(invoices.invoice_date, invoices.period_end, firm_day(invoices.approved_at)) as dated,
        invoices.gross_amount, invoices.tax_amount, invoices.net_amount + case when shares_tax then coalesce(invoices.tax_amount, 0) else 0 end as payable,
        settlements.paid_amount + settlements.allocated_amount + settlements.released_amount as paid, invoices.retainage_amount, invoices.currency,
        coalesce(invoices.approved_at, invoices.updated_at, invoices.created_at) as moved_at, invoices.paid_at,
        settlements.unit_id as payment_unit
    from pm.vendor_invoices as invoices
    cross join connector
    inner join link.vendor_invoice_settlements as settlements on settlements.pm_id = invoices.record_id
    left join (select distinct pm_id from link.vendor_invoices) as linked on linked.pm_id = invoices.record_id
    where
        invoices.approval_status in ('approved', 'closed') and
        (
            linked.pm_id is not null or coalesce(invoices.kind, 'progress') <> 'retainage_release' or
            setting_text('connector_profile') <> 'procore-acumatica-edge'
        )

    union all

    select 'ar' as ledger, record_id, project_id, cast(null as varchar) as party_id, due_date,
        coalesce(billing_date, period_end, firm_day(approved_at)) as dated, gross_amount, tax_amount,
        net_amount + case when shares_tax then coalesce(tax_amount, 0) else 0 end as payable, coalesce(paid_amount, 0) as paid, retainage_amount, currency,
        coalesce(approved_at, updated_at, created_at) as moved_at, cast(null as timestamp with time zone) as paid_at,
        cast(null as varchar) as payment_unit
    from pm.owner_invoices
    cross join connector
    where approval_status in ('approved', 'closed')

),

commitments as (

    select links.erp_id, min(orders.project_id) as project_id
    from link.commitments as links
    inner join pm.commitments as orders on orders.record_id = links.pm_id
    group by links.erp_id

),

jobs as (

    select erp_id, pm_id from link.erp_projects where pm_id is not null

),

-- Bills outside synced commitments are the ERP's own. One whose lines name several projects stands in its commitment's. A release that
-- only the ERP bills moves money from retained to due there alone: PM cannot follow, and nothing is wrong.
erp_documents as (

    select 'ap' as ledger, bills.record_id, coalesce(jobs.pm_id, commitments.project_id) as project_id, bills.vendor_id as party_id, bills.due_date,
        bills.invoice_date as dated, bills.gross_amount, bills.tax_amount, bills.net_amount + case when shares_tax then coalesce(bills.tax_amount, 0) else 0 end as payable,
        coalesce(bills.paid_amount, 0) as paid, bills.retainage_amount, bills.currency,
        coalesce(bills.created_at, end_of_day(bills.invoice_date)) as moved_at, bills.paid_at
    from erp.vendor_invoices as bills
    cross join connector
    left join jobs on jobs.erp_id = bills.project_id
    left join commitments on commitments.erp_id = bills.commitment_id
    left join (select distinct erp_id from link.vendor_invoices) as linked on linked.erp_id = bills.record_id
    where
        bills.approval_status in ('approved', 'closed') and
        (linked.erp_id is not null or commitments.erp_id is not null and coalesce(bills.kind, 'progress') <> 'retainage_release')

    union all

    select 'ar' as ledger, invoices.record_id, jobs.pm_id as project_id, cast(null as varchar) as party_id, invoices.due_date,
        invoices.billing_date as dated, invoices.gross_amount, invoices.tax_amount,
        invoices.net_amount + case when shares_tax then coalesce(invoices.tax_amount, 0) else 0 end as payable, coalesce(invoices.paid_amount, 0) as paid, invoices.retainage_amount,
        invoices.currency, coalesce(invoices.created_at, end_of_day(invoices.billing_date)) as moved_at,
        cast(null as timestamp with time zone) as paid_at
    from erp.owner_invoices as invoices
    cross join connector
    left join jobs on jobs.erp_id = invoices.project_id
    left join (select distinct erp_id from link.owner_invoices) as linked on linked.erp_id = invoices.record_id
    where
        invoices.approval_status in ('approved', 'closed') and
        (linked.erp_id is not null or jobs.pm_id is not null and coalesce(invoices.kind, 'progress') <> 'retainage_release')

),

vendors as (

    select erp_id, min(pm_id) as pm_id from link.vendors group by erp_id

),

documents as (

    select pm_documents.*, 'pm' as side, coalesce(pm_groups.group_id, pm_documents.record_id) as item_id,
        pm_groups.group_id is not null as is_linked
    from pm_documents
    left join pm_groups on pm_groups.ledger = pm_documents.ledger and pm_groups.pm_id = pm_documents.record_id

    union all

    select erp_documents.ledger, erp_documents.record_id, erp_documents.project_id, vendors.pm_id as party_id, erp_documents.due_date,
        erp_documents.dated, erp_documents.gross_amount, erp_documents.tax_amount, erp_documents.payable, erp_documents.paid,
        erp_documents.retainage_amount, erp_documents.currency, erp_documents.moved_at, erp_documents.paid_at,
        cast(null as varchar) as payment_unit, 'erp' as side, coalesce(erp_groups.group_id, erp_documents.record_id) as item_id,
        erp_groups.group_id is not null as is_linked
    from erp_documents
    left join erp_groups on erp_groups.ledger = erp_documents.ledger and erp_groups.erp_id = erp_documents.record_id
    left join vendors on vendors.erp_id = erp_documents.party_id

),

-- An amount that is not told is no money, and never a null that drops the item.
amounts as (

    select
        documents.*,
        case documents.side when 'pm' then 1 else -1 end as sign,
        coalesce(documents.payable, 0) as payable_amount,
        documents.paid - coalesce(dated_after.amount, 0) as paid_amount,
        coalesce(documents.retainage_amount, 0) as retained_amount
    from documents
    left join dated_after on dated_after.side = documents.side and dated_after.invoice_id = documents.record_id
    cross join meta.clock
    where documents.dated is null or documents.dated <= clock.accounting_date

),

items as (

    select
        ledger,
        item_id,
        coalesce(min(case when side = 'pm' then project_id end), min(project_id)) as project_id,
        coalesce(min(case when side = 'pm' then party_id end), min(party_id)) as party_id,
        coalesce(min(case when side = 'erp' then due_date end), min(due_date)) as due_date,
        min(dated) as dated,
        bool_or(is_linked) as is_linked,
        count(case when side = 'pm' then 1 end) as pm_count,
        count(case when side = 'erp' then 1 end) as erp_count,
        sum(case when side = 'pm' then payable_amount - paid_amount else 0 end) as pm_open,
        sum(case when side = 'erp' then payable_amount - paid_amount else 0 end) as erp_open,
        sum(case when side = 'pm' then paid_amount else 0 end) as pm_paid,
        sum(case when side = 'erp' then paid_amount else 0 end) as erp_paid,
        sum(case when side = 'pm' then retained_amount else 0 end) as pm_retainage,
        sum(case when side = 'erp' then retained_amount else 0 end) as erp_retainage,
        sum(sign * payable_amount) as payable_gap,
        sum(sign * coalesce(gross_amount, 0)) as gross_gap,
        sum(sign * retained_amount) as retainage_gap,
        sum(sign * coalesce(tax_amount, 0)) as tax_gap,
        max(case when side = 'pm' then moved_at end) as pm_moved_at,
        max(case when side = 'erp' then moved_at end) as erp_moved_at,
        max(case when side = 'pm' then paid_at end) as pm_paid_at,
        max(case when side = 'erp' then paid_at end) as erp_paid_at,
        min(payment_unit) as payment_unit,
        coalesce(min(currency) <> max(currency), false) as currency_differs,
        min(currency) as currency
    from amounts
    group by ledger, item_id

),

voided as (

    select coalesce(pm_groups.group_id, payments.invoice_id) as item_id, sum(payments.amount) as amount, min(payments.pm_id) as pm_id,
        max(payments.voided_at) as voided_at
    from link.voided_payments as payments
    left join pm_groups on pm_groups.ledger = 'ap' and pm_groups.pm_id = payments.invoice_id
    where payments.direction = 'disbursement' and payments.invoice_id is not null
    group by coalesce(pm_groups.group_id, payments.invoice_id)

),

-- What is open differs by what was billed and by what was paid.
caused as (

    select
        items.*,
        voided.pm_id as voided_id,
        voided.voided_at,
        case
            when items.erp_count = 0 then 'missing_in_erp'
            when items.pm_count = 0 then 'missing_in_pm'
            when abs(items.payable_gap) > setting_decimal('amount_tolerance') and abs(items.payable_gap) >= abs(items.pm_paid - items.erp_paid)
                then 'billed'
            when items.ledger = 'ar' then 'received'
            when items.erp_paid > items.pm_paid and unreflected.group_id is not null then 'not_mirrored'
            when abs(items.pm_paid - items.erp_paid - voided.amount) <= setting_decimal('amount_tolerance') then 'voided'
            when items.erp_paid > setting_decimal('amount_tolerance') then 'paid_otherwise'
            else 'only_in_pm'
        end as reason
    from items
    left join voided on items.ledger = 'ap' and voided.item_id = items.item_id
    left join link.unreflected_payments as unreflected on items.ledger = 'ap' and unreflected.group_id = items.item_id

),

keyed as (

    select
        caused.*,
        case ledger when 'ap' then 'I4:' else 'I3:' end || item_id as amount_key,
        case reason
            when 'missing_in_erp' then case when not is_linked then case ledger when 'ap' then 'I2:' else 'I1:' end || item_id end
            when 'missing_in_pm' then case when not is_linked then case ledger when 'ap' then 'I11:' else 'I10:' end || item_id end
            when 'not_mirrored' then 'P1:' || item_id
            when 'voided' then 'P3:' || voided_id
            when 'paid_otherwise' then 'P2:' || coalesce(payment_unit, item_id)
            when 'only_in_pm' then 'P4:' || coalesce(payment_unit, item_id)
        end as other_key,
        case reason
            when 'missing_in_erp' then pm_moved_at
            when 'missing_in_pm' then erp_moved_at
            when 'not_mirrored' then end_of_day(firm_day(erp_paid_at))
            when 'voided' then voided_at
            when 'paid_otherwise' then case when erp_paid > pm_paid then end_of_day(firm_day(erp_paid_at)) else pm_paid_at end
            when 'only_in_pm' then pm_paid_at
        end as moved_at,
        case reason
            when 'missing_in_erp' then case ledger when 'ap' then setting_integer('grace_hours_i2') else setting_integer('grace_hours_i1') end
            when 'missing_in_pm' then case ledger when 'ap' then setting_integer('grace_hours_i11') else setting_integer('grace_hours_i10') end
            when 'not_mirrored' then setting_integer('grace_hours_p1')
            when 'voided' then setting_integer('grace_hours_p3')
            when 'paid_otherwise' then setting_integer('grace_hours_p2')
            when 'only_in_pm' then setting_integer('grace_hours_p4')
        end as grace_hours
    from caused

)

select
    keyed.ledger,
    keyed.item_id,
    keyed.project_id,
    keyed.party_id,
    coalesce(keyed.due_date, cast(cast(keyed.dated as int) + setting_integer('default_terms_days') as date)) as due_date,
    cast(keyed.pm_open as decimal(18,2)) as pm_open,
    cast(keyed.erp_open as decimal(18,2)) as erp_open,
    cast(keyed.pm_retainage as decimal(18,2)) as pm_retainage,
    cast(keyed.erp_retainage as decimal(18,2)) as erp_retainage,
    case
        when keyed.reason <> 'billed' then keyed.other_key
        when abs(keyed.gross_gap) > setting_decimal('amount_tolerance') then keyed.amount_key || ':gross'
        when abs(keyed.retainage_gap) > setting_decimal('amount_tolerance') then keyed.amount_key || ':retainage'
        when abs(keyed.tax_gap) > setting_decimal('amount_tolerance') then keyed.amount_key || ':tax'
        else keyed.amount_key || ':net'
    end as explained_by,
    case when keyed.reason like 'missing%' then keyed.other_key else keyed.amount_key || ':retainage' end as retainage_explained_by,
    coalesce(to_unixtime(clock.observed_at) - to_unixtime(keyed.moved_at) < keyed.grace_hours * 3600, false) as is_in_flight,
    keyed.currency_differs,
    keyed.currency
from keyed
cross join meta.clock
