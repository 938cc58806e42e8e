-- title:    Linked pairs, with the turn in which each document comes in its group
-- grain:    one row per linked pair; `entity` stands for the entity of its reader. Whoever sums up a group takes each document at its turn 1:
--           a requisition split in two bills is one amount against the sum of two

select
    group_id,
    pm_id,
    erp_id,
    row_number() over (partition by pm_id order by erp_id) as pm_turn,
    row_number() over (partition by erp_id order by pm_id) as erp_turn
from link.entity
