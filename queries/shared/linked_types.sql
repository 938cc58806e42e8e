-- title:    PM cost types and the ERP type that each is
-- grain:    one row per PM cost type that is linked; linked to several, the first by code stands for it

select pm_types.code as pm_type, min(erp_types.code) as erp_type
from link.cost_types as links
inner join pm.cost_types as pm_types on pm_types.record_id = links.pm_id
inner join erp.cost_types as erp_types on erp_types.record_id = links.erp_id
group by pm_types.code
