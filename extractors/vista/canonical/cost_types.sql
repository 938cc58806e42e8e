-- title: Vista cost types
-- grain: one cost type of a phase group

select concat(phase_group, '|', cost_type) as record_id, code, title
from shared.cost_types
