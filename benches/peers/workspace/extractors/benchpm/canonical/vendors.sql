-- title: Vendors
-- grain: one vendor
select
    _key as record_id,
    erp_code as linked_id,
    updated_at,
    name,
    normalize_name(name) as name_key,
    is_active,
    street as address_line,
    city,
    state,
    postal_code,
    email,
    phone
from source.pm_vendors
