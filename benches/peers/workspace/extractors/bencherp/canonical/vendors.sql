-- title: Vendors
-- grain: one vendor
select
    _key as record_id,
    updated_at,
    vendor_code as code,
    name,
    normalize_name(name) as name_key,
    is_active,
    terms as payment_terms,
    street as address_line,
    city,
    state,
    postal_code,
    phone
from source.erp_vendors
