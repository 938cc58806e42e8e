-- title: Subcontracts and purchase orders
-- grain: one commitment
-- statuses: draft, executed, closed
select
    _key as record_id,
    updated_at,
    case kind when 'SUB' then 'subcontract' else 'purchase_order' end as kind,
    number,
    normalize_number(number) as number_key,
    cast(project_id as varchar) as project_id,
    cast(vendor_id as varchar) as vendor_id,
    title,
    coalesce(firm_status('pm_commitments', status), case status when 'draft' then 'draft' when 'executed' then 'approved' when 'closed' then 'closed' else 'pending' end) as approval_status,
    executed_date as executed_on,
    original_amount
from source.pm_commitments
