-- title: FOUNDATION vendors
-- grain: one vendor of the company

select
    trim(vendor_no) as record_id,
    trim(vendor_no) as code,
    trim(name) as name,
    normalize_name(trim(name)) as name_key
from source.vendors
