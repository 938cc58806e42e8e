-- title:    Payments by payee for form 1099
-- question: What was paid to each payee in the calendar year, which box does it belong in, and does it reach the threshold?
-- grain:    one row per connection, payee and currency; one without a payee where nothing was paid
-- parameters: form_1099_threshold and card_methods of [year_end]
-- columns:
--   pin                the pin that is read, or `not pinned`
--   accounting_date    the last day counted
--   status             complete, not_evaluated or not_applicable: read it before the figures
--   reason             why it is not complete, or why the payee is to be looked at
--   year               calendar year of the accounting date
--   source             the ERP connection: a payer of its own, as far as anybody knows
--   payee              name; several vendor records of one tax id are one payee
--   vendor_codes       codes of those records
--   form_box           box of the form; several if the records differ
--   currency           of the amounts
--   paid_amount        all unvoided payments of the year
--   card_amount        of them by card: the processor reports these (1099-K)
--   exempt_amount      to records that are no 1099 vendors
--   unclassified_amount to records of which the ERP does not say
--   reportable_amount  the rest
--   threshold_amount   from which total on the year's law, or the setting, asks for a form; null = indexed, and not set
--   verdict            report, below_threshold, exempt, classify (it would reach the threshold if it were a 1099 vendor) or not_evaluated (the
--                      year's threshold is not known, or the amounts are not in US dollars)
-- sources:  cash basis, by the date of the payment; IRC 6041 and 6041A, instructions for form 1099-NEC: 600 for payments up to 2025; 2,000 from
--           2026 on, indexed from 2027 (P.L. 119-21, section 70433): a later year needs `form_1099_threshold`. Retainage counts when it is paid.

with ground as (

    select status, reason from link.audit_grounds where view_name = 'form_1099' and project_id is null

),

years as (

    select
        cast(date_part('year', accounting_date) as bigint) as year,
        case
            when setting_decimal('form_1099_threshold') > 0 then setting_decimal('form_1099_threshold')
            when date_part('year', accounting_date) <= 2025 then 600
            when date_part('year', accounting_date) = 2026 then 2000
        end as threshold
    from meta.clock

),

payees as (

    select
        payments.source,
        payments.payee_id,
        payments.currency,
        min(vendors.name) as payee,
        string_agg(distinct vendors.code, ', ' order by vendors.code) as vendor_codes,
        min(payments.form_box) ||
            case when max(payments.form_box) <> min(payments.form_box) then ', ' || max(payments.form_box) else '' end as form_box,
        sum(payments.amount) as paid,
        sum(case when payments.class = 'card' then payments.amount else 0 end) as card,
        sum(case when payments.class = 'exempt' then payments.amount else 0 end) as exempt,
        sum(case when payments.class in ('unclassified', 'no_vendor') then payments.amount else 0 end) as unclassified,
        sum(case when payments.class = 'reportable' then payments.amount else 0 end) as reportable
    from link.form_1099_payments as payments
    left join erp.vendors on vendors.record_id = payments.vendor_id and vendors.source = payments.source
    group by payments.source, payments.payee_id, payments.currency

),

-- The books of two companies are two payers. One payer's that were moved in the year reach the threshold together.
totals as (

    select payees.*, case when payee_id is not null then sum(reportable) over (partition by payee_id, currency) end as of_all
    from payees

)

select
    coalesce(clock.pin, 'not pinned') as pin,
    clock.accounting_date,
    ground.status,
    coalesce(
        ground.reason,
        case
            when years.threshold is null then 'the threshold of ' || cast(years.year as varchar) || ' is indexed: set form_1099_threshold of [year_end]'
            when payees.currency <> 'USD' and payees.reportable + payees.unclassified <> 0 then 'the threshold is in US dollars'
            when payees.reportable >= years.threshold and payees.form_box is null then 'no box on the vendor record'
            when payees.reportable <> 0 and payees.exempt + payees.unclassified <> 0 then 'records of one tax id are classified differently'
            when payees.reportable < years.threshold and payees.of_all >= years.threshold
                then 'reaches the threshold together with another connection: one payer, or two?'
        end
    ) as reason,
    years.year,
    payees.source,
    payees.payee,
    payees.vendor_codes,
    payees.form_box,
    payees.currency,
    cast(payees.paid as decimal(18,2)) as paid_amount,
    cast(payees.card as decimal(18,2)) as card_amount,
    cast(payees.exempt as decimal(18,2)) as exempt_amount,
    cast(payees.unclassified as decimal(18,2)) as unclassified_amount,
    cast(payees.reportable as decimal(18,2)) as reportable_amount,
    cast(years.threshold as decimal(18,2)) as threshold_amount,
    case
        when payees.paid is null then null
        when (years.threshold is null or payees.currency <> 'USD') and payees.reportable + payees.unclassified <> 0 then 'not_evaluated'
        when payees.reportable >= years.threshold then 'report'
        when payees.reportable + payees.unclassified >= years.threshold then 'classify'
        when payees.reportable = 0 and payees.unclassified = 0 then 'exempt'
        else 'below_threshold'
    end as verdict
from ground
cross join meta.clock
cross join years
left join totals as payees on true
