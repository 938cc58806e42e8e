-- title:    Vendor invoices unpaid in PM for too long
-- check:    P0
-- entity:   vendor_invoices
-- scope:    project
-- record_owner: erp
-- fix_side: erp
-- version:  4
-- risk:     what PM shows as unpaid
-- question: Which approved invoices does PM show as unpaid, and what does the ERP say of them?
-- grain:    one row per PM vendor invoice
-- parameters: unpaid_days = 60, amount_tolerance = 0.01
-- fix:      Paid in the ERP, or partly: see P1 and P2. Unpaid there too: ask accounts payable. No record there: send the invoice to the ERP.
-- columns:
--   number             number in PM
--   vendor_id          PM's record id of the vendor
--   vendor_name        its name
--   commitment_id      PM's record id of the commitment
--   invoice_date       its date; else the end of its period, else the day of its approval or entry
--   days_unpaid        from that date to the accounting date
--   payable_amount     net and tax, as in link.payment_allotments
--   pm_paid_amount     paid in PM
--   unpaid_amount      the rest
--   erp_paid_amount    paid in the ERP
--   erp_paid_at        the ERP's last payment
--   erp_verdict        paid, partly, unpaid or no_record
--   verdict            null; not_evaluated where PM tells no date

with dated as (

    select *, coalesce(invoice_date, period_end, cast(approved_at as date), cast(created_at as date)) as counted_from
    from pm.vendor_invoices
    where approval_status in ('approved', 'closed')

),

open_invoices as (

    select
        *,
        paid_amount + allocated_amount + released_amount as pm_paid_amount,
        payable_amount - paid_amount - allocated_amount - released_amount as open_amount
    from link.vendor_invoice_settlements

),

-- A discount that the ERP took is paid by nobody, and owed by nobody: it settles what is open of the group's invoices, once.
discounted as (

    select *, erp_discount_amount - coalesce(sum(greatest(open_amount, 0)) over earlier_invoices, 0) as discount_left
    from open_invoices
    window earlier_invoices as (
        partition by coalesce(group_id, pm_id) order by pm_id rows between unbounded preceding and 1 preceding
    )

),

settlements as (

    select *, open_amount - least(greatest(discount_left, 0), greatest(open_amount, 0)) as unpaid_amount
    from discounted

),

-- What is payable may not be told: then nobody can say that it is paid.
unpaid as (

    select
        dated.*,
        cast(clock.accounting_date as int) - cast(dated.counted_from as int) as days_unpaid,
        settlements.group_id, settlements.unit_id, settlements.payable_amount, settlements.pm_paid_amount,
        settlements.unpaid_amount, settlements.erp_settled_amount as erp_paid_amount, settlements.erp_paid_at, settlements.erp_verdict
    from dated
    inner join settlements on settlements.pm_id = dated.record_id
    cross join meta.clock
    where coalesce(settlements.unpaid_amount > setting_decimal('amount_tolerance'), true)

),

bills as (

    select pm_id, min(erp_id) as erp_id from link.vendor_invoices group by pm_id

)

-- What never reached the ERP, or is not released there, cannot be paid. Only a bill paid in full makes the missing payment the whole
-- story; of one paid in part, the rest is unpaid in truth.
select
    'P0:' || unpaid.record_id as exception_key,
    unpaid.project_id, projects.number as project_number, unpaid.record_id as pm_id, bills.erp_id,
    coalesce(unpaid.number, unpaid.record_id) as label,
    'vendor invoice ' || coalesce(unpaid.number, unpaid.record_id) || ' is unpaid in PM ' ||
        coalesce('after ' || cast(unpaid.days_unpaid as varchar) || ' days', '(nobody knows since when)') || ' with ' ||
        coalesce(cast(unpaid.unpaid_amount as varchar), 'an unknown amount') || ' open; the ERP says ' ||
        replace(unpaid.erp_verdict, '_', ' ') as detail,
    cast(unpaid.pm_paid_amount as varchar) as pm_value, cast(unpaid.erp_paid_amount as varchar) as erp_value,
    cast(unpaid.unpaid_amount as decimal(18,2)) as amount_at_risk,
    coalesce(unpaid.currency, setting_text('currency')) as currency,
    end_of_day(unpaid.counted_from) as occurred_at,
    'unknown' as cause,
    case
        when unpaid.erp_verdict = 'no_record' then 'I2:' || unpaid.record_id
        when unreleased.group_id is not null then 'S2:vendor_invoices:' || unpaid.group_id
        when unpaid.erp_verdict = 'paid' and unreflected.group_id is not null then 'P1:' || unpaid.group_id
        when unpaid.erp_verdict = 'paid' and unpaid.erp_paid_amount > unpaid.pm_paid_amount then 'P2:' || unpaid.unit_id
    end as explained_by,
    unpaid.number, unpaid.vendor_id, vendors.name as vendor_name, unpaid.commitment_id,
    unpaid.counted_from as invoice_date, unpaid.days_unpaid,
    unpaid.payable_amount, cast(unpaid.pm_paid_amount as decimal(18,2)) as pm_paid_amount,
    cast(unpaid.unpaid_amount as decimal(18,2)) as unpaid_amount,
    unpaid.erp_paid_amount, unpaid.erp_paid_at, unpaid.erp_verdict,
    case when unpaid.days_unpaid is null then 'not_evaluated' end as verdict
from unpaid
left join bills on bills.pm_id = unpaid.record_id
left join pm.projects on projects.record_id = unpaid.project_id
left join pm.vendors on vendors.record_id = unpaid.vendor_id
left join link.unreflected_payments as unreflected on unreflected.group_id = unpaid.group_id
left join link.unreleased_bills as unreleased on unreleased.group_id = unpaid.group_id
where coalesce(unpaid.days_unpaid > setting_integer('unpaid_days'), true)
