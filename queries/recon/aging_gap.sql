-- title:    Open balances that differ, by age
-- check:    I7
-- entity:   vendor_invoices
-- scope:    project
-- record_owner: erp
-- fix_side: erp
-- version:  4
-- risk:     the difference without its sign
-- question: Where do the two systems owe, or are owed, different sums, and how old are they?
-- grain:    one row per ledger, project, vendor, currency and bucket (current, 1-30, 31-60, 61-90, over 90; retainage apart)
-- parameters: amount_tolerance = 0.01, default_terms_days = 30
-- requires: erp.vendor_invoices, pm.vendor_invoices
-- fix:      Look at the exception that explains it: a payment or a document that did not cross over.
-- columns:
--   ledger             ap or ar
--   party_id           PM's record id of the vendor
--   party              its name
--   bucket             by days past due at the accounting date
--   pm_open            open in PM
--   erp_open           open in the ERP
--   difference         PM minus ERP
--   item_count         linked groups and single documents in it that differ; those still in their checks' grace are left out

-- A document or a payment that may still cross over within its grace differs on neither side yet; two currencies are I3's and I4's.
with aged as (

    select
        items.*,
        case
            when items.due_date is null or items.due_date >= clock.accounting_date then 'current'
            when cast(clock.accounting_date as int) - cast(items.due_date as int) <= 30 then '1-30'
            when cast(clock.accounting_date as int) - cast(items.due_date as int) <= 60 then '31-60'
            when cast(clock.accounting_date as int) - cast(items.due_date as int) <= 90 then '61-90'
            else 'over 90'
        end as bucket
    from link.open_items as items
    cross join meta.clock
    where not items.is_in_flight and not items.currency_differs

),

balances as (

    select ledger, project_id, party_id, bucket, item_id, pm_open, erp_open, explained_by,
        coalesce(currency, setting_text('currency')) as currency
    from aged

    union all

    -- What was retained is not due, whatever its invoice's date.
    select ledger, project_id, party_id, 'retainage' as bucket, item_id, pm_retainage as pm_open, erp_retainage as erp_open,
        retainage_explained_by as explained_by, coalesce(currency, setting_text('currency')) as currency
    from aged

),

ranked as (

    select
        balances.*,
        abs(pm_open - erp_open) > setting_decimal('amount_tolerance') as is_different,
        row_number() over (partition by ledger, project_id, party_id, bucket, currency order by abs(pm_open - erp_open) desc, item_id) as turn
    from balances

),

grouped as (

    select
        ledger,
        project_id,
        party_id,
        bucket,
        sum(pm_open) as pm_open,
        sum(erp_open) as erp_open,
        count(case when is_different then 1 end) as item_count,
        -- Each item that differs must follow from something, or they do not add up to the difference; the largest names it.
        case when count(case when is_different and explained_by is null then 1 end) = 0 then min(case when turn = 1 then explained_by end) end
            as explained_by,
        currency
    from ranked
    group by ledger, project_id, party_id, bucket, currency

)

select
    'I7:' || grouped.ledger || ':' || coalesce(grouped.project_id, '') || ':' || coalesce(grouped.party_id, '') || ':' || grouped.bucket ||
        case when grouped.currency <> setting_text('currency') then ':' || grouped.currency else '' end as exception_key,
    grouped.project_id,
    projects.number as project_number,
    grouped.party_id as pm_id,
    cast(null as varchar) as erp_id,
    coalesce(vendors.name, case grouped.ledger when 'ar' then 'owner' else 'no vendor' end) || ' ' || grouped.bucket as label,
    case grouped.ledger when 'ap' then 'payable to ' else 'receivable from ' end ||
        coalesce(vendors.name, case grouped.ledger when 'ar' then 'the owner' else 'no vendor' end) || ', ' || grouped.bucket || ': ' ||
        cast(grouped.pm_open as varchar) || ' in PM and ' || cast(grouped.erp_open as varchar) || ' in the ERP' as detail,
    cast(grouped.pm_open as varchar) as pm_value,
    cast(grouped.erp_open as varchar) as erp_value,
    cast(abs(grouped.pm_open - grouped.erp_open) as decimal(18,2)) as amount_at_risk,
    grouped.currency,
    cast(null as timestamp with time zone) as occurred_at,
    'unknown' as cause,
    grouped.explained_by,
    case grouped.ledger when 'ar' then 'owner_invoices' else 'vendor_invoices' end as entity,
    grouped.ledger,
    grouped.party_id,
    vendors.name as party,
    grouped.bucket,
    cast(grouped.pm_open as decimal(18,2)) as pm_open,
    cast(grouped.erp_open as decimal(18,2)) as erp_open,
    cast(grouped.pm_open - grouped.erp_open as decimal(18,2)) as difference,
    grouped.item_count
from grouped
left join pm.vendors on vendors.record_id = grouped.party_id
left join pm.projects on projects.record_id = grouped.project_id
-- Cents that each document may differ by do not make a gap together.
where
    grouped.item_count > 0 and
    abs(grouped.pm_open - grouped.erp_open) > setting_decimal('amount_tolerance')
