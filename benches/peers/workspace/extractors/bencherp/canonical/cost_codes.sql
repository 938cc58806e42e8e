-- title: Cost codes of the company
-- grain: one code
select
    _key as record_id,
    updated_at,
    code,
    normalize_number(code) as code_key,
    description as title,
    cost_type,
    true as is_active
from source.erp_cost_codes
