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

-- An item counts on both sides from its earlier date on: another period is I5's question.
with dated as (

    select
        lines.*,
        coalesce(normalize_number(cost_code), '(none)') as code_key,
        case when item_id = 'pool' then dated else min(dated) over (partition by project_id, item_id) end as counts_from,
        sum(case when side = 'pm' then coalesce(amount, 0) else -coalesce(amount, 0) end) over (partition by project_id, item_id) as item_gap,
        count(case when side = 'pm' then 1 end) over (partition by project_id, item_id) as item_pm_count,
        count(case when side = 'erp' then 1 end) over (partition by project_id, item_id) as item_erp_count,
        max(moved_at) over (partition by project_id, item_id) as item_moved_at,
        min(case when missing_key like 'C4:%' then missing_key end) over (partition by project_id, item_id) as default_key
    from link.cost_lines as lines

),

placed as (

    select
        dated.*,
        case when count(*) over code_lines = count(cost_type) over code_lines then cost_type end as told_type
    from dated
    cross join meta.clock
    where counts_from is null or counts_from <= clock.accounting_date
    window code_lines as (partition by project_id, code_key)

),

-- Where PM has what the ERP has on another code.
moved as (

    select
        placed.*,
        min(case when side = 'pm' then code_key || coalesce(' ' || told_type, '') end) over (partition by project_id, item_id) as pm_place
    from placed

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
