-- title: ProjectSight projects
-- grain: one project that is not deleted
-- statuses: Active, Open, In Progress, Construction, Under Construction, Course of Construction, Awarded, Warranty, Punch List, Draft,
-- statuses: Bid, Bidding, Estimating, Proposal, Preconstruction, Pre-Construction, Pursuit, Lost, Not Awarded, Rejected, Closed, Inactive,
-- statuses: Complete, Completed, Archived, Cancelled, Canceled, On Hold, Suspended, Pending, Approved
-- States are the firm's own. Of a project they say that it is not won yet, never was, or is over; any other word is a job under way.
-- The ERP's project is in the integration's mirror: ERPProjectId 4 is the mirror's record 4, whose code is the link.
-- Nobody tells whether a budget is locked, nor which company is the owner: that is on the prime contract.

with stated as (

    select projects.*, firm_status('projects', status) as firm_status, lower(trim(status)) as word
    from source.projects as projects
    where not coalesce(deleted, false)

)

select
    stated.portfolio_id || '|' || stated.project_id as record_id,
    nullif(trim(mirror.erp_code), '') as linked_id,
    stated.when_created as created_at,
    stated.last_modified as updated_at,
    stated.created_by,
    nullif(trim(stated.number), '') as number,
    normalize_number(nullif(trim(stated.number), '')) as number_key,
    stated.name,
    coalesce(stated.firm_status, case
        when stated.word in ('draft', 'bid', 'bidding', 'estimating', 'proposal', 'preconstruction', 'pre-construction', 'pursuit') then 'draft'
        when stated.word in ('lost', 'not awarded', 'rejected') then 'rejected'
    end) as approval_status,
    coalesce(
        stated.firm_status not in ('closed', 'void', 'rejected'),
        coalesce(stated.word, '') not in ('closed', 'inactive', 'complete', 'completed', 'archived', 'cancelled', 'canceled')
    ) as is_active,
    nullif(trim(stated.project_manager), '') as project_manager,
    stated.start_date,
    stated.finish_date as completion_date
from stated
left join source.erp_projects as mirror on
    mirror.portfolio_id = stated.portfolio_id and mirror.id = stated.erp_project_id and not coalesce(mirror.deleted, false)
