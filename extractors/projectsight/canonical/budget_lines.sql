-- title: ProjectSight budget rows
-- grain: one budget code that is not deleted
-- statuses: Draft, New, In Preparation, Pending, Pending Approval, Open, Submitted, Under Review, In Progress, Approved, Active, Locked,
-- statuses: Baselined, Closed, Complete, Completed, Rejected, Void, Voided
-- A budget that is still being made is no budget yet: a row that is neither approved nor in a state that says so is left out.
-- Commitments are those made and their approved revisions. Which forecast is the estimate at completion is not known.

with -- A budget code is its segments, joined; one of them may be the type of cost, as the project's structure describes it.
--   01-500.L with the segments 01, 500 and L (level 3, "Cost Type") is code 01-500 of type L.
type_levels as (

    select portfolio_id, project_id, max(level) as level
    from source.budget_code_levels
    where coalesce(ok_to_use, true) and coalesce(show_in_code, true) and regexp_like(lower(description), 'type|categor|class')
    group by portfolio_id, project_id

),

segments as (

    select budgets.*, trim(budgets.bdgt_code) as whole,
        nullif(trim(case type_levels.level
            when 1 then group1 when 2 then group2 when 3 then group3 when 4 then group4 when 5 then group5
            when 6 then group6 when 7 then group7 when 8 then group8 when 9 then group9
        end), '') as cost_type
    from source.budgets as budgets
    left join type_levels on type_levels.portfolio_id = budgets.portfolio_id and type_levels.project_id = budgets.project_id

),

codes as (

    select segments.*,
        nullif(trim(case
            when cost_type is null or length(whole) <= length(cost_type) + 1 then whole
            when right(whole, length(cost_type)) = cost_type then left(whole, length(whole) - length(cost_type) - 1)
            when left(whole, length(cost_type)) = cost_type then substr(whole, length(cost_type) + 2)
            else whole
        end), '') as cost_code
    from segments

),

stated as (

    select codes.*, coalesce(firm_status('budgets', codes.status), case
        when lower(trim(codes.status)) in ('draft', 'new', 'in preparation') then 'draft'
        when lower(trim(codes.status)) in ('void', 'voided') then 'void'
        when lower(trim(codes.status)) in ('rejected') then 'rejected'
    end) as told_status
    from codes
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
