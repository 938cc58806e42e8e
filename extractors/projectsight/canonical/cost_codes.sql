-- title: ProjectSight cost codes
-- grain: one code of one project, whatever its types of cost
-- A code is there because the budget has a row for it. Its title is that of its last segment before the type.
-- What a code is called in the ERP may stand in AliasCode; firms use it for other things too, so it is no link.

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

titled as (

    select codes.*,
        case
            when cost_type is null then coalesce(nullif(trim(description), ''), nullif(trim(group1_description), ''))
            when nullif(trim(group8), '') is not null and trim(group8) <> cost_type then nullif(trim(group8_description), '')
            when nullif(trim(group7), '') is not null and trim(group7) <> cost_type then nullif(trim(group7_description), '')
            when nullif(trim(group6), '') is not null and trim(group6) <> cost_type then nullif(trim(group6_description), '')
            when nullif(trim(group5), '') is not null and trim(group5) <> cost_type then nullif(trim(group5_description), '')
            when nullif(trim(group4), '') is not null and trim(group4) <> cost_type then nullif(trim(group4_description), '')
            when nullif(trim(group3), '') is not null and trim(group3) <> cost_type then nullif(trim(group3_description), '')
            when nullif(trim(group2), '') is not null and trim(group2) <> cost_type then nullif(trim(group2_description), '')
            else nullif(trim(group1_description), '')
        end as title
    from codes
    where not coalesce(deleted, false) and cost_code is not null

)

select
    portfolio_id || '|' || project_id || '|K' || cost_code as record_id,
    min(when_created) as created_at,
    max(last_modified) as updated_at,
    portfolio_id || '|' || project_id as project_id,
    cost_code as code,
    normalize_number(cost_code) as code_key,
    min(title) as title,
    true as is_active
from titled
group by portfolio_id, project_id, cost_code
