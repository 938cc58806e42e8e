-- title: Vista parts of invoices that were paid
-- grain: one check or receipt on one invoice; what a check paid of retainage is on the release of it
-- Of voided checks nothing is left: the parts that they paid are open again.
-- What was received beyond an invoice's net stays with it here; its releases take it in owner_invoices.sql.

with retainage_types as (

    select ap_co, ret_pay_type as pay_type from source.ap_companies where ret_pay_type is not null
    union
    select ap_co, ret_pay_type from source.pay_categories where ret_pay_type is not null

),

paid as (

    select
        concat('AP|', payments.key_id) as payment_id,
        concat('AP|', headers.key_id, case when types.pay_type is not null then '|release' else '' end) as invoice_id,
        details.amount - details.disc_taken as amount, details.disc_taken as discount
    from source.ap_details as details
    inner join source.ap_transactions as headers on
        headers.ap_co = details.ap_co and headers.mth = details.mth and headers.ap_trans = details.ap_trans
    inner join source.ap_payments as payments on
        payments.ap_co = details.ap_co and payments.cm_co = details.cm_co and payments.cm_acct = details.cm_acct and
        payments.pay_method = details.pay_method and payments.cm_ref = details.cm_ref and payments.cm_ref_seq = details.cm_ref_seq and
        payments.eft_seq = details.eft_seq
    left join retainage_types as types on types.ap_co = details.ap_co and types.pay_type = details.pay_type
    where details.status in (3, 4) and (upper(trim(payments.void_yn)) is distinct from 'Y') and payments.amount <> 0

    union all

    select
        concat('AR|', receipts.key_id), coalesce(concat('JB|', bills.key_id), concat('AR|', invoices.key_id)), -lines.amount,
        coalesce(lines.disc_taken, 0.00)
    from source.ar_lines as lines
    inner join source.ar_transactions as receipts on
        receipts.ar_co = lines.ar_co and receipts.mth = lines.mth and receipts.ar_trans = lines.ar_trans
    inner join source.ar_transactions as invoices on
        invoices.ar_co = lines.ar_co and invoices.mth = lines.apply_mth and invoices.ar_trans = lines.apply_trans
    left join source.jc_companies as companies on companies.ar_co = invoices.ar_co and companies.jc_co = invoices.jc_co
    left join source.owner_bills as bills on
        bills.jb_co = coalesce(companies.jc_co, invoices.jc_co) and bills.bill_month = invoices.mth and bills.ar_trans = invoices.ar_trans
    where upper(trim(receipts.ar_trans_type)) = 'P' and upper(trim(invoices.ar_trans_type)) <> 'P'

)

select
    concat(payment_id, '/', invoice_id) as record_id,
    payment_id,
    invoice_id,
    sum(amount) as amount,
    sum(discount) as discount
from paid
group by payment_id, invoice_id
having sum(amount) <> 0 or sum(discount) <> 0
