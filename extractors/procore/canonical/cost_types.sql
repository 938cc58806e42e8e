-- title: Procore line item types
-- grain: one line item type of the company

select
    _key as record_id,
    nullif(trim(origin_id), '') as linked_id,
    code,
    name as title
from source.line_item_types
