-- title:    PM vendors without an ERP vendor
-- question: Which exception of V1 explains that a document of this vendor is not in the ERP?
-- grain:    one row per PM vendor that is not linked
-- columns:
--   pm_id              PM's record id of the vendor
--   exception_key      V1's key, open where the vendor is used or new

select
    vendors.record_id as pm_id,
    'V1:' || vendors.record_id as exception_key
from pm.vendors
left anti join link.vendors as links on links.pm_id = vendors.record_id
