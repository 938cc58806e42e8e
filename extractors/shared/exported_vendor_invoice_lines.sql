-- title: Cost codes of bills, as exported
-- grain: one row of a bill
-- Codes are flat text: of '01-100 Site work' the first word, if it has a digit; else all of it. A list without codes tells no
-- lines: that is no coding with none.

select
    _key as record_id,
    concat(job, '|', vendor, '|', bill_number) as invoice_id,
    coalesce(
        nullif(regexp_replace(trim(cost_code), '^([0-9][0-9A-Za-z.-]*)([ :].*)?$|^.*$', '\1'), ''),
        nullif(trim(cost_code), '')
    ) as cost_code,
    amount,
    currency
from source.bills
where nullif(trim(cost_code), '') is not null
