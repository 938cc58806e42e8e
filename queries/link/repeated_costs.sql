-- title:    Requisitions whose cost PM shows a second time
-- question: Which bills did a connector bring back as direct costs, so that their requisitions must not count as well?
-- grain:    one row per linked group of vendor invoices
-- columns:
--   group_id           PM's record id of the group

with jobs as (

    select * from shared.joined_projects

)

select distinct group_id
from link.posted_costs
where coalesce(stored_line, stored_document) is not null and group_id is not null

union

select posted.group_id
from link.posted_costs as posted
inner join link.direct_costs as direct on direct.project_id = posted.project_id and direct.document_key = posted.number_key
where posted.group_id is not null and direct.stored_id is null

union

-- PM says itself that it is a subcontractor's invoice, without saying which.
select links.group_id
from link.direct_costs as direct
inner join jobs on jobs.project_id = direct.project_id
inner join pm.vendor_invoices as invoices on invoices.project_id = jobs.pm_id
inner join (select pm_id, min(group_id) as group_id from link.vendor_invoices group by pm_id) as links on links.pm_id = invoices.record_id
where direct.stored_id is null and direct.document_type = 'subcontractor_invoice'
