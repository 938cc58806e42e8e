-- title: Cost codes of purchase orders, as exported
-- grain: one row of a purchase order
-- Codes are flat text: of '01-100 Site work' the first word, if it has a digit; else all of it. A list without codes tells no
-- lines: that is no coding with none.

select
    _key as record_id,
    concat(job, '|', po_number) as commitment_id,
    line as line_number,
    coalesce(
        nullif(regexp_replace(trim(cost_code), '^([0-9][0-9A-Za-z.-]*)([ :].*)?$|^.*$', '\1'), ''),
        nullif(trim(cost_code), '')
    ) as cost_code,
    title as description,
    amount,
    currency
from source.purchase_orders
where nullif(trim(cost_code), '') is not null
