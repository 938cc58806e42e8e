-- title:    Cost of both sides, and whether it can be compared
-- question: Which cost is PM shown at all, so that another sum in the ERP is a difference?
-- grain:    one row per linked project, code, cost type and item; what is still in B3's grace left out
-- columns:
--   gap                PM minus ERP
--   verdict            null where it can be compared; else not_applicable (PM is never sent it) or not_evaluated
--   project_id         PM's record id of the project; of several that are one ERP project the first
--   code_key           normalised code; (none) where there is none
--   cost_type          the ERP's cost type; null on codes of which not every line names a linked one
--   place              code and cost type
--   label              the same as people write it
--   item_id            as in link.cost_lines
--   stream             requisition, bill (outside commitments) or other
--   pm_count           PM lines
--   erp_count          project transactions of the ERP
--   mirrored_count     PM lines that a connector made, or that the ERP is sent
--   pm_amount          cost in PM
--   erp_amount         cost in the ERP
--   pm_currency        currency in PM
--   erp_currency       currency in the ERP
--   moved_at           when the item last came to be or changed, UTC
--   explained_by       the exception that a difference follows from

-- PM can be held against the ERP where it shows cost of that type in the project, or where a connector brings that type to any
-- project. Bills outside commitments are the ERP's own: they are compared if PM is sent bills at all.
with items as (

    select items.*, coalesce(projects.source, '') as pm_source
    from link.cost_items as items
    left join pm.projects on projects.record_id = items.project_id

),

shown as materialized (

    select coalesce(cost_type, '') as cost_type, project_id, min(pm_source) as pm_source, sum(mirrored_count) as mirrored_count
    from items
    where pm_count > 0
    group by coalesce(cost_type, ''), project_id

),

shown_types as (

    select pm_source, cost_type, sum(mirrored_count) as mirrored_count from shown group by pm_source, cost_type

),

sent_bills as (

    select distinct pm_source from items where stream = 'bill' and pm_count > 0

)

select
    items.project_id, items.code_key, items.cost_type, items.place, items.label, items.item_id, items.stream, items.pm_count, items.erp_count,
    items.mirrored_count, items.pm_amount, items.erp_amount, items.pm_currency, items.erp_currency, items.moved_at, items.explained_by,
    items.pm_amount - items.erp_amount as gap,
    case
        when items.stream = 'bill' and items.pm_count = 0 and sent_bills.pm_source is null then 'not_applicable'
        when shown.project_id is not null or coalesce(shown_types.mirrored_count, 0) > 0 then null
        when shown_types.cost_type is null then 'not_applicable'
        else 'not_evaluated'
    end as verdict
from items
left join shown on shown.project_id = items.project_id and shown.cost_type = coalesce(items.cost_type, '')
left join shown_types on shown_types.cost_type = coalesce(items.cost_type, '') and shown_types.pm_source = items.pm_source
left join sent_bills on sent_bills.pm_source = items.pm_source
cross join meta.clock
-- What the next import or export may still bring is no difference yet.
where
    items.pm_amount = items.erp_amount or
    items.item_id = 'pool' or
    items.moved_at is null or
    to_unixtime(clock.observed_at) - to_unixtime(items.moved_at) >= setting_integer('grace_hours_b3') * 3600
