-- title:    Form 1099 against the year's disbursements
-- question: Do what is reported, exempt, by card and below the threshold come to all that was paid?
-- grain:    one row per connection and currency; one without a connection where nothing was paid
-- columns:
--   pin                the pin that is read, or `not pinned`
--   accounting_date    the last day counted
--   status             complete, not_evaluated or not_applicable: read it before the figures
--   reason             why it is not complete
--   source             the ERP connection
--   currency           of the amounts
--   disbursed_amount   all unvoided disbursements of the calendar year
--   reportable_amount  to 1099 vendors, whatever their total
--   exempt_amount      to vendors that are none
--   card_amount        by card
--   unclassified_amount to vendors of which the ERP does not say, or to none
--   difference         disbursed less the four classes: always 0.00, or the schedule is wrong
-- sources:  audit.form_1099's payments by class. A payee's total stands in that view; here each payment stands in one class.

with ground as (

    select status, reason from link.audit_grounds where view_name = 'form_1099' and project_id is null

),

disbursed as (

    select payments.source, coalesce(payments.currency, setting_text('currency')) as currency, sum(payments.amount) as amount
    from erp.payments
    cross join meta.clock
    cross join link.fiscal_years as years
    where
        payments.direction = 'disbursement' and payments.status = 'paid' and
        payments.payment_date between years.calendar_starts_on and clock.accounting_date
    group by payments.source, coalesce(payments.currency, setting_text('currency'))

),

classes as (

    select
        source,
        currency,
        sum(case when class = 'reportable' then amount else 0 end) as reportable,
        sum(case when class = 'exempt' then amount else 0 end) as exempt,
        sum(case when class = 'card' then amount else 0 end) as card,
        sum(case when class in ('unclassified', 'no_vendor') then amount else 0 end) as unclassified
    from link.form_1099_payments
    group by source, currency

)

select
    coalesce(clock.pin, 'not pinned') as pin,
    clock.accounting_date,
    ground.status,
    ground.reason,
    disbursed.source,
    disbursed.currency,
    cast(disbursed.amount as decimal(18,2)) as disbursed_amount,
    cast(classes.reportable as decimal(18,2)) as reportable_amount,
    cast(classes.exempt as decimal(18,2)) as exempt_amount,
    cast(classes.card as decimal(18,2)) as card_amount,
    cast(classes.unclassified as decimal(18,2)) as unclassified_amount,
    cast(disbursed.amount - classes.reportable - classes.exempt - classes.card - classes.unclassified as decimal(18,2)) as difference
from ground
cross join meta.clock
left join disbursed on true
left join classes on classes.source = disbursed.source and classes.currency = disbursed.currency
