-- title:    Cost of both sides, and whether it can be compared
-- question: Which cost is PM shown at all, so that another sum in the ERP is a difference?
-- grain:    one row per linked project, code, cost type and item; what is still in B3's grace left out
-- columns:
--   gap                PM minus ERP
--   verdict            null where it can be compared; else not_applicable (PM is never sent it) or not_evaluated
--   project_id         this and the others as in link.cost_items

-- PM can be held against the ERP where it shows cost of that type in the project, or where a connector brings that type to any
-- project. Bills outside commitments are the ERP's own: they are compared if PM is sent bills at all.
with shown as (

    select coalesce(cost_type, '') as cost_type, project_id, sum(mirrored_count) as mirrored_count
    from link.cost_items
    where pm_count > 0
    group by coalesce(cost_type, ''), project_id

),

shown_types as (

    select cost_type, sum(mirrored_count) as mirrored_count from shown group by cost_type

),

sent_bills as (

    select count(*) > 0 as is_sent from link.cost_items where stream = 'bill' and pm_count > 0

)

select
    items.*,
    items.pm_amount - items.erp_amount as gap,
    case
        when items.stream = 'bill' and items.pm_count = 0 and not sent_bills.is_sent then 'not_applicable'
        when shown.project_id is not null or coalesce(shown_types.mirrored_count, 0) > 0 then null
        when shown_types.cost_type is null then 'not_applicable'
        else 'not_evaluated'
    end as verdict
from link.cost_items as items
left join shown on shown.project_id = items.project_id and shown.cost_type = coalesce(items.cost_type, '')
left join shown_types on shown_types.cost_type = coalesce(items.cost_type, '')
cross join sent_bills
cross join meta.clock
-- What the next import or export may still bring is no difference yet.
where
    items.pm_amount = items.erp_amount or
    items.item_id = 'pool' or
    items.moved_at is null or
    to_unixtime(clock.observed_at) - to_unixtime(items.moved_at) >= setting_integer('grace_hours_b3') * 3600
