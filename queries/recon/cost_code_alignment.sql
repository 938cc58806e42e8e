-- title:    How far the cost codes of both sides are one list
-- check:    D1
-- kind:     summary
-- entity:   cost_codes
-- scope:    firm
-- record_owner: erp
-- fix_side: pm
-- version:  1
-- risk:     none: a score
-- question: Which structure do the codes have, and what share of them, and of the money on them, is exactly equal?
-- grain:    one row per measure
-- fix:      C1, C2 and C3 have the codes behind the shares; agree on one structure before syncing.
-- columns:
--   position           order of the measures
--   measure            codes, nahb (NN-NNN), csi (NN NN NN), other, linked, exact, money, money_exact
--   pm_value           PM's count of distinct codes, or amount
--   erp_value          the ERP's
--   pm_share           percent of PM's total
--   erp_share          percent of the ERP's total

with codes as (

    select 'pm' as side, code, code_key, record_id from pm.cost_codes where code is not null
    union all
    select 'erp' as side, code, code_key, record_id from erp.cost_codes where code is not null

),

linked as (

    select distinct 'pm' as side, pm_id as record_id from link.cost_codes
    union all
    select distinct 'erp' as side, erp_id as record_id from link.cost_codes

),

exact as (

    select distinct pm_side.code
    from pm.cost_codes as pm_side
    inner join erp.cost_codes as erp_side on erp_side.code = pm_side.code

),

-- A code counts once, however many projects have a copy.
distinct_codes as (

    select
        codes.side,
        codes.code,
        case
            when regexp_like(codes.code, '^[0-9]{2}-[0-9]{3}$') then 'nahb'
            when regexp_like(codes.code, '^[0-9]{2} ?[0-9]{2} ?[0-9]{2}([.][0-9]{2})?$') then 'csi'
            else 'other'
        end as structure,
        max(case when linked.record_id is not null then 1 else 0 end) as is_linked,
        max(case when exact.code is not null then 1 else 0 end) as is_exact
    from codes
    left join linked on linked.side = codes.side and linked.record_id = codes.record_id
    left join exact on exact.code = codes.code
    group by codes.side, codes.code

),

money as (

    select
        code_use.side,
        sum(code_use.amount) as amount,
        sum(case when exact.code is not null then code_use.amount else 0 end) as exact_amount
    from link.cost_code_use as code_use
    left join exact on exact.code = code_use.code
    group by code_use.side

),

measured as (

    select
        measures.position,
        measures.measure,
        sides.side,
        cast(
            case measures.measure
                when 'codes' then count(distinct_codes.code)
                when 'linked' then sum(distinct_codes.is_linked)
                when 'exact' then sum(distinct_codes.is_exact)
                when 'money' then max(money.amount)
                when 'money_exact' then max(money.exact_amount)
                else count(case when distinct_codes.structure = measures.measure then 1 end)
            end
            as decimal(18,2)
        ) as value,
        cast(case when measures.measure like 'money%' then max(money.amount) else count(distinct_codes.code) end as decimal(18,2)) as total
    from (
        values (1, 'codes'), (2, 'nahb'), (3, 'csi'), (4, 'other'), (5, 'linked'), (6, 'exact'), (7, 'money'), (8, 'money_exact')
    ) as measures (position, measure)
    cross join (values ('pm'), ('erp')) as sides (side)
    left join distinct_codes on distinct_codes.side = sides.side
    left join money on money.side = sides.side
    group by measures.position, measures.measure, sides.side

)

select
    position,
    measure,
    coalesce(max(case when side = 'pm' then value end), 0) as pm_value,
    coalesce(max(case when side = 'erp' then value end), 0) as erp_value,
    cast(max(case when side = 'pm' and total > 0 then value * 100 / total end) as decimal(9,2)) as pm_share,
    cast(max(case when side = 'erp' and total > 0 then value * 100 / total end) as decimal(9,2)) as erp_share
from measured
group by position, measure
order by position
