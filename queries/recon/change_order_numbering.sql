-- title:    Whether change orders carry one number
-- check:    D4
-- kind:     summary
-- entity:   change_orders
-- scope:    firm
-- record_owner: pm
-- fix_side: erp
-- version:  1
-- risk:     none: a score
-- question: On which projects is PM's number absent from the ERP, different there, repeated, or missing in its sequence?
-- grain:    one row per PM project and kind
-- fix:      Have the connector fill the ERP's external reference with PM's number.
-- columns:
--   project_id         PM's record id of the project
--   project_number     the number people use
--   kind               prime or commitment
--   order_count        PM change orders, void and rejected ones apart
--   linked_count       linked ones
--   absent_count       linked ones of which the ERP keeps no PM number
--   different_count    linked ones of which the ERP keeps another number
--   repeated_count     numbers that stand more than once on one contract
--   gap_count          numbers missing between the first and the last, where all are numbers

with orders as (

    select
        change_orders.*,
        case when regexp_like(change_orders.number_key, '^[0-9]+$') then cast(change_orders.number_key as bigint) end as place
    from pm.change_orders as change_orders
    where coalesce(approval_status, 'pending') not in ('void', 'rejected')

),

linked as (

    select
        links.pm_id,
        min(case when erp_side.external_reference is null and (erp_side.number_key is distinct from pm_side.number_key) then 1 else 0 end) as is_absent,
        min(
            case
                when erp_side.external_reference is not null and
                    (normalize_number(erp_side.external_reference) is distinct from pm_side.number_key) then 1
                else 0
            end
        ) as is_different
    from link.change_orders as links
    inner join pm.change_orders as pm_side on pm_side.record_id = links.pm_id
    inner join erp.change_orders as erp_side on erp_side.record_id = links.erp_id
    group by links.pm_id

),

contracts as (

    select
        project_id,
        kind,
        contract_id,
        count(number_key) - count(distinct number_key) as repeated_count,
        case when count(number_key) = count(place) then max(place) - min(place) + 1 - count(distinct place) else 0 end as gap_count
    from orders
    group by project_id, kind, contract_id

),

sequences as (

    select project_id, kind, sum(repeated_count) as repeated_count, sum(gap_count) as gap_count
    from contracts
    group by project_id, kind

),

counted as (

    select
        orders.project_id,
        orders.kind,
        count(*) as order_count,
        count(linked.pm_id) as linked_count,
        sum(coalesce(linked.is_absent, 0)) as absent_count,
        sum(coalesce(linked.is_different, 0)) as different_count
    from orders
    left join linked on linked.pm_id = orders.record_id
    group by orders.project_id, orders.kind

)

select
    counted.project_id,
    projects.number as project_number,
    counted.kind,
    counted.order_count,
    counted.linked_count,
    counted.absent_count,
    counted.different_count,
    coalesce(sequences.repeated_count, 0) as repeated_count,
    coalesce(sequences.gap_count, 0) as gap_count
from counted
left join sequences on sequences.project_id = counted.project_id and sequences.kind = counted.kind
left join pm.projects on projects.record_id = counted.project_id
order by projects.number, counted.kind
