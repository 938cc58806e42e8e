-- title:    Cost codes that both sides know, kept by every commit
-- kind:     measure
-- entity:   cost_codes
-- question: What share of each side's cost codes has a counterpart as of now? trend.cost_codes_aligned has the months.
-- grain:    one row per side
-- columns:
--   field              aligned
--   side               pm or erp
--   value              codes that are linked
--   of_value           all codes of that side

select
    'aligned' as field,
    'pm' as side,
    count(distinct case when links.pm_id is not null then codes.record_id end) as value,
    count(distinct codes.record_id) as of_value
from pm.cost_codes as codes
left join link.cost_codes as links on links.pm_id = codes.record_id

union all

select
    'aligned' as field,
    'erp' as side,
    count(distinct case when links.erp_id is not null then codes.record_id end) as value,
    count(distinct codes.record_id) as of_value
from erp.cost_codes as codes
left join link.cost_codes as links on links.erp_id = codes.record_id
