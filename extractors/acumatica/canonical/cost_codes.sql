-- title: Acumatica cost codes
-- grain: one code of the company's list (the endpoint has no codes by project and no active flag)

select
    trim(cost_code_id) as record_id,
    last_modified_date_time as updated_at,
    arrow_cast(null, 'Utf8') as project_id,
    trim(cost_code_id) as code,
    normalize_number(trim(cost_code_id)) as code_key,
    trim(description) as title
from source.cost_codes
