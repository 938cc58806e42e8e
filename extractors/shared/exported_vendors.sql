-- title: Subs and vendors, as exported
-- grain: one company
-- The name is the key: a vendor that is renamed is another vendor, and crosswalks/vendors.csv links it.

select
    company as record_id,
    trim(company) as name,
    normalize_name(trim(company)) as name_key,
    tax_id_hash,
    coalesce(lower(trim(active)), 'yes') not in ('no', 'n', 'false', '0', 'inactive') as is_active,
    nullif(trim(address), '') as address_line,
    nullif(trim(email), '') as email,
    nullif(trim(phone), '') as phone
from source.vendors
