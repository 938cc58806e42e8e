-- title: Cost classes of FOUNDATION
-- grain: one class that vouchers use: the list of classes was not seen

select distinct upper(trim(cost_class_no)) as record_id, upper(trim(cost_class_no)) as code
from source.voucher_lines
where nullif(trim(cost_class_no), '') is not null
