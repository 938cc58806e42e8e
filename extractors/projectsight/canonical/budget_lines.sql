-- title: ProjectSight budget rows
-- grain: one budget code that is not deleted
-- statuses: Draft, New, In Preparation, Pending, Pending Approval, Open, Submitted, Under Review, In Progress, Approved, Active, Locked,
-- statuses: Baselined, Closed, Complete, Completed, Rejected, Void, Voided
-- A budget that is still being made is no budget yet: a row that is neither approved nor in a state that says so is left out.
-- Commitments are those made and their approved revisions. Which forecast is the estimate at completion is not known.

with stated as (

    select codes.*, coalesce(firm_status('budgets', codes.status), case
        when lower(trim(codes.status)) in ('draft', 'new', 'in preparation') then 'draft'
        when lower(trim(codes.status)) in ('void', 'voided') then 'void'
        when lower(trim(codes.status)) in ('rejected') then 'rejected'
    end) as told_status
    from shared.budget_codes as codes
    where not coalesce(codes.deleted, false)

)

select
    portfolio_id || '|' || project_id || '|B' || bdgt_code_id as record_id,
    when_created as created_at,
    last_modified as updated_at,
    created_by,
    portfolio_id || '|' || project_id as project_id,
    cost_code,
    cost_type,
    'cost' as budget_type,
    original_budget as original_amount,
    approved_budget_revs as approved_changes,
    current_budget as revised_amount,
    original_commitments + coalesce(approved_commitment_revs, 0) as committed_amount,
    cost_to_date as actual_amount
from stated
where coalesce(is_approved, true) or coalesce(told_status, 'approved') not in ('draft', 'pending', 'rejected', 'void')
