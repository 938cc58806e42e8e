-- title:    How long approved records take to reach the other side, by month
-- question: How many hours pass between an approval in PM and the record's first sight in the ERP?
-- grain:    one row per month and entity
-- columns:
--   month              first day of the month in which the record reached the ERP, in the firm's zone
--   entity             commitments, change_orders, owner_invoices or vendor_invoices
--   direction          pm_to_erp
--   arrived_count      records that PM had approved and that the ERP was seen to have
--   dated_count        of these, those whose approval is dated: the figures are theirs
--   p50_hours          half of them had arrived after at most so many hours
--   p90_hours          nine tenths
--   p99_hours          ninety-nine of a hundred
-- First seen is the first commit that shows the record: it arrived at most so late, and not before the commit before.
-- What the first commit showed already says nothing.

with first_look as (

    select min(observed_at) as observed_at from meta.commits where kind = 'extract'

),

arrived as (

    select
        approvals.entity,
        approvals.pm_id,
        approvals.approved_at,
        approvals.approved_at_basis,
        min(statuses.first_seen_at) as arrived_at
    from shared.linked_approvals as approvals
    inner join system.record_statuses as statuses on
        statuses.entity = approvals.entity and
        statuses.source = approvals.erp_source and
        statuses.record_id = approvals.erp_id
    cross join first_look
    where statuses.first_seen_at > first_look.observed_at
    group by approvals.entity, approvals.pm_id, approvals.approved_at, approvals.approved_at_basis

),

-- Its approval was seen to happen after it had arrived, or nobody knows when: no latency.
timed as (

    select
        cast(date_trunc('month', firm_day(arrived_at)) as date) as month,
        entity,
        case
            when coalesce(approved_at_basis, 'unknown') <> 'unknown' and approved_at <= arrived_at
                then (to_unixtime(arrived_at) - to_unixtime(approved_at)) / 3600
        end as hours
    from arrived

),

ranked as (

    select
        month, entity, hours,
        row_number() over (partition by month, entity order by hours nulls last) as place,
        count(hours) over (partition by month, entity) as dated_count
    from timed

),

counted as (

    select
        month,
        entity,
        count(*) as arrived_count,
        max(dated_count) as dated_count,
        min(case when place * 2 >= dated_count then hours end) as p50_hours,
        min(case when place * 10 >= dated_count * 9 then hours end) as p90_hours,
        min(case when place * 100 >= dated_count * 99 then hours end) as p99_hours
    from ranked
    group by month, entity

)

select
    months.month,
    entities.entity,
    'pm_to_erp' as direction,
    coalesce(counted.arrived_count, 0) as arrived_count,
    coalesce(counted.dated_count, 0) as dated_count,
    counted.p50_hours,
    counted.p90_hours,
    counted.p99_hours
from trend.months as months
cross join (values ('commitments'), ('change_orders'), ('owner_invoices'), ('vendor_invoices')) as entities (entity)
left join counted on
    counted.month = months.month and
    counted.entity = entities.entity
order by months.month, entities.entity
