-- title: ProjectSight types of cost
-- grain: one type of cost of a portfolio: a segment of its budget codes
-- A structure that describes no segment as a type has none.

select
    portfolio_id || '|T' || cost_type as record_id,
    cost_type as code,
    min(nullif(trim(type_title), '')) as title
from shared.budget_codes
where not coalesce(deleted, false) and cost_type is not null
group by portfolio_id, cost_type
