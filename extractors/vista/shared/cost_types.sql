-- title: Vista cost types and what they go by
-- grain: one cost type of a phase group
-- A cost type is a number. People and other systems go by its abbreviation, which is its code where no other of the group has it.

select
    phase_group, cost_type,
    case
        when count(*) over (partition by phase_group, upper(trim(abbreviation))) = 1 and nullif(trim(abbreviation), '') is not null
            then trim(abbreviation)
        else cast(cost_type as varchar)
    end as code,
    trim(description) as title
from source.cost_types
