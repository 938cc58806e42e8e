-- title:    PM projects and the PM project that stands for the ERP project that each is
-- grain:    one row per linked PM project; several that are one ERP project have the same

select links.pm_id, min(jobs.pm_id) as project_id, min(jobs.source) as erp_source
from link.projects as links
inner join link.erp_projects as jobs on jobs.erp_id = links.erp_id
where jobs.pm_id is not null
group by links.pm_id
