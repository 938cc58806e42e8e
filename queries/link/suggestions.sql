-- title:    Companies that may be the same
-- question: Which vendor or customer of the ERP might an unlinked company of PM be, and why?
-- grain:    one row per unlinked company of PM and each of at most three of the ERP; nothing is linked by it
-- kind:     suggestions
-- columns:
--   entity             vendors or customers
--   pm_id              PM's record id
--   erp_id             the ERP's
--   pm_name            name in PM
--   erp_name           name in the ERP
--   place              1 is the likeliest for this company of PM
--   score              all reasons together: orders, and is no probability
--   name_score         how alike the names are: words weighed by how rare they are, misspelt ones by Jaro-Winkler
--   evidence           what else is the same: tax id, e-mail, e-mail host, phone, address, postal code
--   explanation        the reasons in words

-- Who is linked needs no suggestion, and who is out of use none either. A pair that is right belongs into the crosswalk.
select
    entity,
    side,
    record_id,
    coalesce(name, code, record_id) as label,
    name_key,
    tax_id_hash,
    normalize_address(address_line) as address,
    normalize_postal_code(postal_code) as postal_code,
    normalize_phone(phone) as phone,
    lower(trim(email)) as email
from shared.unlinked_companies
