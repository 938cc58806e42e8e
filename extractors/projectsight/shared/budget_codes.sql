-- title: What ProjectSight's budget codes say
-- grain: one row of a budget
-- A budget code is its segments, joined; one of them may be the type of cost, as the project's structure describes it.
--   01-500.L with the segments 01, 500 and L (level 3, "Cost Type") is code 01-500 of type L.

with type_levels as (

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
        end), '') as cost_type,
        case type_levels.level
            when 1 then group1_description when 2 then group2_description when 3 then group3_description when 4 then group4_description
            when 5 then group5_description when 6 then group6_description when 7 then group7_description when 8 then group8_description
            when 9 then group9_description
        end as type_title
    from source.budgets as budgets
    left join type_levels on type_levels.portfolio_id = budgets.portfolio_id and type_levels.project_id = budgets.project_id

)

select segments.*,
    nullif(trim(case
        when cost_type is null or length(whole) <= length(cost_type) + 1 then whole
        when right(whole, length(cost_type)) = cost_type then left(whole, length(whole) - length(cost_type) - 1)
        when left(whole, length(cost_type)) = cost_type then substr(whole, length(cost_type) + 2)
        else whole
    end), '') as cost_code
from segments
