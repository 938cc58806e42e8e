-- title: Job cost
-- grain: one transaction
select
    _key as record_id,
    updated_at,
    job_number as project_id,
    cost_code,
    cost_type,
    transaction_date as cost_date,
    amount,
    origin as document_type,
    document as document_id
from source.erp_job_cost
