-- title: Lines of commitments
-- grain: one line
select
    _key as record_id,
    updated_at,
    cast(commitment_id as varchar) as commitment_id,
    cost_code,
    description,
    amount
from source.pm_commitment_lines
