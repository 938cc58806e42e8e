-- title: Vista checks and receipts
-- grain: one check, transfer or receipt
-- A check over nothing only sets credits against invoices: none. Miscellaneous cash belongs to no customer: none.
-- A void has no date of its own: where the company audits payments, the trail tells it. How the trail spells keys is not known: an entry is
-- the check's if it names its number.

with voids as (

    select checks.key_id, min(entries.date_time) as voided_at
    from source.ap_payments as checks
    inner join source.audit_entries as entries on
        entries.co = checks.ap_co and
        regexp_like(entries.key_string, concat('(^|[^A-Za-z0-9])', trim(checks.cm_ref), '($|[^A-Za-z0-9])'))
    where
        upper(trim(checks.void_yn)) = 'Y' and regexp_like(trim(checks.cm_ref), '^[A-Za-z0-9-]+$') and
        lower(trim(entries.table_name)) in ('bapph', 'apph') and lower(trim(entries.field_name)) = 'voidyn'
    group by checks.key_id

)

select
    concat('AP|', checks.key_id) as record_id,
    'disbursement' as direction,
    trim(cm_ref) as number,
    case upper(trim(pay_method)) when 'C' then 'check' when 'E' then 'eft' when 'S' then 'credit service' else trim(pay_method) end as method,
    paid_date as payment_date,
    amount,
    concat(vendor_group, '|', vendor) as vendor_id,
    cast(null as varchar) as customer_id,
    case when upper(trim(void_yn)) = 'Y' then 'void' else 'paid' end as status,
    voids.voided_at
from source.ap_payments as checks
left join voids on voids.key_id = checks.key_id
where amount <> 0 or upper(trim(void_yn)) = 'Y'

union all

select
    concat('AR|', key_id) as record_id,
    'receipt' as direction,
    coalesce(nullif(trim(check_no), ''), cast(ar_trans as varchar)) as number,
    cast(null as varchar) as method,
    coalesce(check_date, trans_date) as payment_date,
    credit_amt as amount,
    cast(null as varchar) as vendor_id,
    cast(cust_group as varchar) || '|' || cast(customer as varchar) as customer_id,
    'paid' as status,
    cast(null as timestamp) as voided_at
from source.ar_transactions
where upper(trim(ar_trans_type)) = 'P'
