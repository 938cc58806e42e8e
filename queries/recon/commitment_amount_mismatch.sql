-- title:    Linked commitments whose amounts differ
-- check:    M2
-- entity:   commitments
-- scope:    project
-- missing_on: erp
-- record_owner: pm
-- fix_side: erp
-- version:  1
-- risk:     the difference without its sign; 0 where currencies differ
-- question: Where do the two sides put a commitment at different sums?
-- grain:    one row per linked group and component (original, changes, revised); component currency if currencies differ
-- grace:    24 hours
-- parameters: amount_tolerance = 0.01
-- compares: original_amount, approved_change_amount, revised_amount
-- fix:      Correct the ERP commitment, or resend it from PM.
-- columns:
--   group_id           PM's record id of the group
--   component          original, changes, revised; currency if the sides use different ones
--   comparison         differs, missing_in_pm, missing_in_erp or currency_differs
--   pm_amount          PM's amount
--   erp_amount         the ERP's
--   difference         PM minus ERP; a side without the amount counts as 0
--   number             number in PM
--   change_order_gap   what missing and differing change orders account for (O1, O3, O4, O5)

with mapped as (

    select side, coalesce(source, '') as source, count(original_amount) > 0 as original, count(approved_change_amount) > 0 as changes,
        count(revised_amount) > 0 as revised
    from (select 'pm' as side, * from pm.commitments union all select 'erp' as side, * from erp.commitments) as sides
    group by side, coalesce(source, '')

),

-- A sum that one of the two connections never tells is not comparable.
groups as (

    select groups.*, pm_told.original and erp_told.original as original_comparable, pm_told.changes and erp_told.changes as changes_comparable,
        pm_told.revised and erp_told.revised as revised_comparable
    from link.commitment_groups as groups
    inner join pm.commitments as pm_side on pm_side.record_id = groups.group_id
    inner join erp.commitments as erp_side on erp_side.record_id = groups.erp_id
    inner join mapped as pm_told on pm_told.side = 'pm' and pm_told.source = coalesce(pm_side.source, '')
    inner join mapped as erp_told on erp_told.side = 'erp' and erp_told.source = coalesce(erp_side.source, '')

),

gaps as (

    select contract_id, sum(amount) as amount, min(exception_key) as exception_key, max(moved_at) as moved_at
    from link.change_order_gaps
    where kind = 'commitment'
    group by contract_id

),

compared as (

    select
        groups.*, components.component,
        coalesce(groups.pm_currency <> groups.erp_currency, false) as currency_differs,
        case components.component
            when 'original' then groups.pm_original when 'changes' then groups.pm_changes when 'revised' then groups.pm_revised
        end as pm_amount,
        case components.component
            when 'original' then groups.erp_original when 'changes' then groups.erp_changes when 'revised' then groups.erp_revised
        end as erp_amount
    from groups
    cross join (values ('currency'), ('original'), ('changes'), ('revised')) as components (component)
    where
        groups.pm_status in ('approved', 'closed') and groups.erp_status <> 'void' and
        case components.component
            when 'original' then original_comparable when 'changes' then changes_comparable when 'revised' then revised_comparable else true
        end

),

different as (

    select
        compared.*, coalesce(compared.pm_amount, 0) - coalesce(compared.erp_amount, 0) as difference,
        case when component = 'currency' then pm_currency else cast(pm_amount as varchar) end as pm_value,
        case when component = 'currency' then erp_currency else cast(erp_amount as varchar) end as erp_value,
        coalesce(gaps.amount, 0) as change_order_gap, gaps.exception_key as gap_key, gaps.moved_at as gap_moved_at
    from compared
    left join gaps on gaps.contract_id = compared.group_id

)

-- What follows from a change order that is still on its way is on its way too. A difference that the change orders account for is theirs.
-- Else revised follows from its parts. A group in two currencies has one row that says so, and no other.
select
    'M2:' || different.group_id || ':' || different.component as exception_key,
    different.project_id, projects.number as project_number, different.group_id as pm_id, different.erp_id,
    different.label || ' ' || different.component as label,
    case
        when different.component = 'currency' then 'commitment ' || different.label || ' is in ' || different.pm_value || ' in PM and in '
        else different.component || ' of commitment ' || different.label || ' is ' || coalesce(different.pm_value, 'not told') || ' in PM and '
    end || coalesce(different.erp_value, 'not told') || ' in the ERP' as detail,
    different.pm_value, different.erp_value,
    cast(abs(different.difference) as decimal(18,2)) as amount_at_risk,
    coalesce(different.pm_currency, different.erp_currency, setting_text('currency')) as currency,
    coalesce(greatest(different.occurred_at, different.gap_moved_at), different.occurred_at, different.gap_moved_at) as occurred_at,
    case when different.component = 'currency' then 'currency_differs' else 'unknown' end as cause,
    case
        when different.component in ('changes', 'revised') and different.gap_key is not null and
            abs(different.difference - different.change_order_gap) <= setting_decimal('amount_tolerance')
            then different.gap_key
        when different.component = 'revised' and different.original_comparable and
            abs(coalesce(different.pm_original, 0) - coalesce(different.erp_original, 0)) > setting_decimal('amount_tolerance')
            then 'M2:' || different.group_id || ':original'
        when different.component = 'revised' and different.changes_comparable then 'M2:' || different.group_id || ':changes'
    end as explained_by,
    different.group_id, different.component,
    case
        when different.component = 'currency' then 'currency_differs'
        when different.pm_amount is null then 'missing_in_pm'
        when different.erp_amount is null then 'missing_in_erp'
        else 'differs'
    end as comparison,
    different.pm_amount, different.erp_amount,
    cast(case when different.component <> 'currency' then different.difference end as decimal(18,2)) as difference,
    different.label as number, cast(different.change_order_gap as decimal(18,2)) as change_order_gap
from different
left join pm.projects on projects.record_id = different.project_id
where different.currency_differs = (different.component = 'currency') and
    (different.currency_differs or abs(different.difference) > setting_decimal('amount_tolerance'))
