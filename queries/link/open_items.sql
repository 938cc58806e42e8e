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

with voided as (

    select coalesce(groups.group_id, payments.invoice_id) as item_id, sum(payments.amount) as amount, min(payments.pm_id) as pm_id,
        max(payments.voided_at) as voided_at
    from link.voided_payments as payments
    left join (select pm_id, min(group_id) as group_id from link.vendor_invoices group by pm_id) as groups
        on groups.pm_id = payments.invoice_id
    where payments.direction = 'disbursement' and payments.invoice_id is not null
    group by coalesce(groups.group_id, payments.invoice_id)

),

unreleased as (

    select 'ap' as ledger, 'vendor_invoices' as entity, group_id, since from link.unreleased_bills
    union all
    select 'ar' as ledger, 'owner_invoices' as entity, group_id, since from link.unreleased_owner_invoices

),

-- What is open differs by what was billed and by what was paid.
caused as (

    select
        items.*,
        case items.ledger when 'ap' then 'I4:' else 'I3:' end || items.item_id as amount_key,
        'S2:' || unreleased.entity || ':' || unreleased.group_id as unreleased_key, unreleased.since as unreleased_since,
        voided.pm_id as voided_id, voided.voided_at,
        case
            when items.erp_count = 0 and unreleased.group_id is not null then 'unreleased'
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
    from link.open_balances as items
    left join voided on items.ledger = 'ap' and voided.item_id = items.item_id
    left join link.unreflected_payments as unreflected on items.ledger = 'ap' and unreflected.group_id = items.item_id
    left join unreleased on unreleased.ledger = items.ledger and unreleased.group_id = items.item_id

),

-- The exception that a difference follows from, and the second at which its grace is over.
keyed as (

    select
        caused.*,
        case reason
            when 'unreleased' then unreleased_key
            when 'missing_in_erp' then case when not is_linked then case ledger when 'ap' then 'I2:' else 'I1:' end || item_id end
            when 'missing_in_pm' then case when not is_linked then case ledger when 'ap' then 'I11:' else 'I10:' end || item_id end
            when 'not_mirrored' then 'P1:' || item_id
            when 'voided' then 'P3:' || voided_id
            when 'paid_otherwise' then 'P2:' || coalesce(payment_unit, item_id)
            when 'only_in_pm' then 'P4:' || coalesce(payment_unit, item_id)
        end as other_key,
        case reason
            when 'unreleased' then to_unixtime(unreleased_since) + 3600 * 24 * setting_integer('approver_days')
            when 'missing_in_erp' then to_unixtime(pm_moved_at) +
                3600 * case ledger when 'ap' then setting_integer('grace_hours_i2') else setting_integer('grace_hours_i1') end
            when 'missing_in_pm' then to_unixtime(erp_moved_at) +
                3600 * case ledger when 'ap' then setting_integer('grace_hours_i11') else setting_integer('grace_hours_i10') end
            when 'not_mirrored' then to_unixtime(end_of_day(firm_day(erp_paid_at))) + 3600 * setting_integer('grace_hours_p1')
            when 'voided' then to_unixtime(voided_at) + 3600 * setting_integer('grace_hours_p3')
            when 'paid_otherwise' then to_unixtime(case when erp_paid > pm_paid then end_of_day(firm_day(erp_paid_at)) else pm_paid_at end) +
                3600 * setting_integer('grace_hours_p2')
            when 'only_in_pm' then to_unixtime(pm_paid_at) + 3600 * setting_integer('grace_hours_p4')
        end as grace_ends
    from caused

)

select
    keyed.ledger, keyed.item_id, keyed.project_id, keyed.party_id,
    coalesce(keyed.due_date, cast(cast(keyed.dated as int) + setting_integer('default_terms_days') as date)) as due_date,
    cast(keyed.pm_open as decimal(18,2)) as pm_open, cast(keyed.erp_open as decimal(18,2)) as erp_open,
    cast(keyed.pm_retainage as decimal(18,2)) as pm_retainage, cast(keyed.erp_retainage as decimal(18,2)) as erp_retainage,
    case
        when keyed.reason <> 'billed' then keyed.other_key
        when abs(keyed.gross_gap) > setting_decimal('amount_tolerance') then keyed.amount_key || ':gross'
        when abs(keyed.retainage_gap) > setting_decimal('amount_tolerance') then keyed.amount_key || ':retainage'
        when abs(keyed.tax_gap) > setting_decimal('amount_tolerance') then keyed.amount_key || ':tax'
        else keyed.amount_key || ':net'
    end as explained_by,
    case when keyed.reason like 'missing%' or keyed.reason = 'unreleased' then keyed.other_key else keyed.amount_key || ':retainage' end as retainage_explained_by,
    coalesce(to_unixtime(clock.observed_at) < keyed.grace_ends, false) as is_in_flight,
    keyed.currency_differs, keyed.currency
from keyed
cross join meta.clock
