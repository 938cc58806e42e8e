-- title:    Vendors linked across the two systems
-- question: Which PM vendor is which ERP vendor, and how do we know?
-- grain:    one row per linked pair; rows that share group_id are compared as one
-- kind:     links
-- entity:   vendors
-- columns:
--   group_id           what is compared as one: the smallest PM record_id of the group
--   pm_id              PM's record_id
--   erp_id             ERP's record_id
--   method             the first method that hit: crosswalk, explicit, number, tax_id, name
--   score              worth of the method: 1.00 stored by somebody, less where concluded

select
    'pm' as side,
    source,
    books_of(source) as partner_source,
    true as is_company,
    record_id,
    linked_id as stored_id,
    code as number,
    normalize_number(code) as number_key,
    tax_id_hash,
    name_key,
    not coalesce(is_active, true) as is_void
from pm.vendors

union all

select
    'erp' as side,
    source,
    cast(null as varchar) as partner_source,
    true as is_company,
    record_id,
    linked_id as stored_id,
    code as number,
    normalize_number(code) as number_key,
    tax_id_hash,
    name_key,
    not coalesce(is_active, true) as is_void
from erp.vendors
