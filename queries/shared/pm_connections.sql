-- title:    PM projects and the ERP project that each is
-- grain:    one row per linked pair of projects

select links.pm_id, links.erp_id, jobs.source as erp_source
from link.projects as links
left join erp.projects as jobs on jobs.record_id = links.erp_id
