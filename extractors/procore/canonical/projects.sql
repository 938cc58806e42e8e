-- title: Procore projects
-- grain: one project
-- Demo projects are no jobs: they and everything under them are left out of every entity. A project *created from* a template
-- carries project_template and is a job.
-- The stage says of a project only that it is not won yet, or never was: its other words are the firm's own, and then it is a job.
--   Bidding, Pre-Construction → draft; Not Awarded → rejected; Warranty → null.
-- Whether the budget is locked is null where the budget is not shown to us; checks take such a budget as locked.
-- The customer is on the prime contract, not here: reading it would make every project's checks wait for that permission.

select
    projects._key as record_id,
    coalesce(nullif(trim(origin_id), ''), nullif(trim(origin_code), '')) as linked_id,
    created_at,
    updated_at,
    nullif(trim(project_number), '') as number,
    normalize_number(nullif(trim(project_number), '')) as number_key,
    name,
    coalesce(firm_status('projects', stage), case lower(regexp_replace(stage, '[^A-Za-z]', '', 'g'))
        when 'bidding' then 'draft'
        when 'bid' then 'draft'
        when 'estimating' then 'draft'
        when 'proposal' then 'draft'
        when 'preconstruction' then 'draft'
        when 'notawarded' then 'rejected'
        when 'lost' then 'rejected'
        when 'lostbid' then 'rejected'
    end) as approval_status,
    active as is_active,
    start_date,
    coalesce(completion_date, projected_finish_date) as completion_date,
    locks.is_locked as budget_is_locked
from source.projects
left join source.budget_locks as locks on locks.project_id = projects.id
where not coalesce(is_demo, false)
