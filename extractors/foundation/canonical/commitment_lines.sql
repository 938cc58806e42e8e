-- title: Lines of FOUNDATION's purchase orders and subcontracts
-- grain: one line, as it was agreed first

select
    concat(trim(order_no), '|', trim(line_no)) as record_id,
    trim(order_no) as commitment_id,
    try_cast(regexp_replace(trim(line_no), '\.0+$', '') as bigint) as line_number,
    nullif(trim(cost_code_no), '') as cost_code,
    nullif(trim(cost_class_no), '') as cost_type,
    nullif(trim(description), '') as description,
    amount
from source.purchase_order_lines
