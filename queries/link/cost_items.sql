-- title:    Cost of both sides, item by item
-- question: Which documents and lines make up the cost to date on each code, in PM and in the ERP?
-- grain:    one row per linked project, code, cost type and item
-- columns:
--   project_id         PM's record id of the project; of several that are one ERP project the first
--   code_key           normalised code; (none) where there is none
--   cost_type          the ERP's cost type; null on codes of which not every line names a linked one
--   place              code and cost type
--   label              the same as people write it, in PM if the code stands there
--   item_id            as in link.cost_lines
--   stream             requisition, bill (outside commitments) or other
--   pm_count           PM lines: direct costs, and lines of approved requisitions
--   erp_count          project transactions of the ERP
--   mirrored_count     PM lines that a connector made, or that the ERP is sent
--   pm_amount          cost in PM
--   erp_amount         cost in the ERP
--   pm_currency        currency in PM
--   erp_currency       currency in the ERP
--   moved_at           when the item last came to be or changed, UTC
--   explained_by       the exception that a difference follows from

-- Sums of an item are joined to its lines: as window functions, one frame for each of a million items, they took ten times as long.
with items as (

    select
        project_id,
        item_id,
        min(dated) as first_dated,
        sum(case when side = 'pm' then coalesce(amount, 0) else -coalesce(amount, 0) end) as item_gap,
        count(case when side = 'pm' then 1 end) as item_pm_count,
        count(case when side = 'erp' then 1 end) as item_erp_count,
        max(moved_at) as item_moved_at,
        min(case when missing_key like 'C4:%' then missing_key end) as default_key
    from link.cost_lines
    group by project_id, item_id

),

-- An item counts on both sides from its earlier date on: another period is I5's question.
dated as materialized (

    select
        lines.side, lines.project_id, lines.item_id, lines.cost_code, lines.cost_type, lines.stream, lines.is_mirrored, lines.amount, lines.currency,
        lines.missing_key,
        coalesce(normalize_number(lines.cost_code), '(none)') as code_key,
        items.item_gap, items.item_pm_count, items.item_erp_count, items.item_moved_at, items.default_key
    from link.cost_lines as lines
    inner join items on (items.project_id is not distinct from lines.project_id) and (items.item_id is not distinct from lines.item_id)
    cross join meta.clock
    where coalesce(case when lines.item_id = 'pool' then lines.dated else items.first_dated end <= clock.accounting_date, true)

),

codes as materialized (

    select project_id, code_key, count(*) = count(cost_type) as is_typed from dated group by project_id, code_key

),

placed as (

    select dated.*, case when codes.is_typed then dated.cost_type end as told_type
    from dated
    inner join codes on (codes.project_id is not distinct from dated.project_id) and (codes.code_key is not distinct from dated.code_key)

),

-- Where PM has what the ERP has on another code.
pm_places as (

    select project_id, item_id, min(code_key || coalesce(' ' || told_type, '')) as pm_place
    from placed
    where side = 'pm'
    group by project_id, item_id

),

moved as (

    select placed.*, pm_places.pm_place
    from placed
    left join pm_places on
        (pm_places.project_id is not distinct from placed.project_id) and (pm_places.item_id is not distinct from placed.item_id)

)

select
    project_id,
    code_key,
    told_type as cost_type,
    code_key || coalesce(' ' || told_type, '') as place,
    coalesce(min(case when side = 'pm' then trim(cost_code) end), min(trim(cost_code)), '(none)') || coalesce(' ' || told_type, '') as label,
    item_id,
    min(stream) as stream,
    count(case when side = 'pm' then 1 end) as pm_count,
    count(case when side = 'erp' then 1 end) as erp_count,
    count(case when is_mirrored then 1 end) as mirrored_count,
    cast(sum(case when side = 'pm' then coalesce(amount, 0) else 0 end) as decimal(18,2)) as pm_amount,
    cast(sum(case when side = 'erp' then coalesce(amount, 0) else 0 end) as decimal(18,2)) as erp_amount,
    min(case when side = 'pm' then currency end) as pm_currency,
    min(case when side = 'erp' then currency end) as erp_currency,
    max(item_moved_at) as moved_at,
    case
        when sum(case when side = 'pm' then coalesce(amount, 0) else -coalesce(amount, 0) end) = 0 then null
        when min(item_pm_count) = 0 or min(item_erp_count) = 0 then min(missing_key)
        when item_id like 'bill:%' and abs(min(item_gap)) > setting_decimal('amount_tolerance')
            then 'I4:' || substr(item_id, 6) || ':gross'
        when item_id like 'bill:%' then 'I6:' || substr(item_id, 6)
        -- One line or document, on a code in PM and on a default code in the ERP: both places follow from the default code.
        when (item_id like 'line:%' or item_id like 'document:%') and abs(min(item_gap)) <= setting_decimal('amount_tolerance')
            -- On another code: PM's place tells of it, and the ERP's follows.
            then coalesce(min(default_key), case when count(case when side = 'pm' then 1 end) = 0 then 'B3:' || project_id || ':' || min(pm_place) end)
    end as explained_by
from moved
group by project_id, code_key, told_type, item_id
