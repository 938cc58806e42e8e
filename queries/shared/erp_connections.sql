-- title:    ERP projects and the PM connection whose projects they are
-- grain:    one row per linked ERP project; the connection is null where projects of several are one

select links.erp_id, case when min(jobs.source) = max(jobs.source) then min(jobs.source) end as pm_source
from link.projects as links
inner join pm.projects as jobs on jobs.record_id = links.pm_id
group by links.erp_id
