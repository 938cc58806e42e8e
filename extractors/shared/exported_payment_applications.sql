-- title: Which bill each payment pays, as exported
-- grain: one bill that is paid

select
    concat(job, '|', vendor, '|', bill_number) as record_id,
    concat(job, '|', vendor, '|', bill_number) as payment_id,
    concat(job, '|', vendor, '|', bill_number) as invoice_id,
    sum(amount) as amount,
    min(currency) as currency
from source.bills
where lower(trim(status)) = 'paid'
group by job, vendor, bill_number
