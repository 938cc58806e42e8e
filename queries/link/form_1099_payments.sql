-- title:    Disbursements of the calendar year, by what form 1099 makes of them
-- question: Which payments of the year up to the accounting date does the firm report, and which not?
-- grain:    one row per unvoided disbursement from 1 January to the accounting date
-- parameters: card_methods of [year_end]
-- columns:
--   source             the connection
--   record_id          the ERP's record id of the payment
--   vendor_id          the ERP's record id of the vendor
--   payee_id           what is one payee: the keyed hash of the tax id, else the vendor
--   class              reportable; exempt (not a 1099 vendor); unclassified (the ERP does not say); card (reported by its processor, IRC 6050W);
--                      no_vendor
--   form_box           box of the form as the vendor's record has it
--   amount             of the payment; refunds negative
--   currency           of the amount

select
    payments.source,
    payments.record_id,
    payments.vendor_id,
    coalesce(vendors.tax_id_hash, payments.source || ':' || payments.vendor_id) as payee_id,
    case
        when vendors.record_id is null then 'no_vendor'
        when lower(payments.method) like '%card%' or setting_list_contains('card_methods', payments.method) then 'card'
        when vendors.is_1099 then 'reportable'
        when not vendors.is_1099 then 'exempt'
        else 'unclassified'
    end as class,
    vendors.tax_form_box as form_box,
    payments.amount,
    coalesce(payments.currency, setting_text('currency')) as currency
from erp.payments
left join erp.vendors on vendors.record_id = payments.vendor_id and vendors.source = payments.source
cross join meta.clock
cross join link.fiscal_years as years
where
    payments.direction = 'disbursement' and
    payments.status = 'paid' and
    payments.payment_date between years.calendar_starts_on and clock.accounting_date
