-- title:    PM cost types and the ERP type that each is
-- grain:    one row per PM cost type that is linked and ERP connection; linked to several there, the first by code stands for it

select pm_types.source as pm_source, pm_types.code as pm_type, erp_types.source as erp_source, min(erp_types.code) as erp_type
from link.cost_types as links
inner join pm.cost_types as pm_types on pm_types.record_id = links.pm_id
inner join erp.cost_types as erp_types on erp_types.record_id = links.erp_id
group by pm_types.source, pm_types.code, erp_types.source
