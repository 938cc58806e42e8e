-- title:    Linked pairs, and which of them stand for their documents
-- grain:    one row per linked pair; `entity` stands for the entity of its reader. Whoever sums up a group takes each document once:
--           a requisition split in two bills is one amount against the sum of two

select
    pairs.group_id,
    pairs.pm_id,
    pairs.erp_id,
    coalesce(pairs.erp_id = pm_firsts.erp_id, false) as is_first_of_pm,
    coalesce(pairs.pm_id = erp_firsts.pm_id, false) as is_first_of_erp
from link.entity as pairs
left join (select pm_id, min(erp_id) as erp_id from link.entity group by pm_id) as pm_firsts on pm_firsts.pm_id = pairs.pm_id
left join (select erp_id, min(pm_id) as pm_id from link.entity group by erp_id) as erp_firsts on erp_firsts.erp_id = pairs.erp_id
