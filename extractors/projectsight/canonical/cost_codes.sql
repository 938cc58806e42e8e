-- title: ProjectSight cost codes
-- grain: one code of one project, whatever its types of cost
-- A code is there because the budget has a row for it. Its title is that of its last segment before the type.
-- What a code is called in the ERP may stand in AliasCode; firms use it for other things too, so it is no link.

with titled as (

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
    from shared.budget_codes as codes
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
