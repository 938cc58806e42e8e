-- title:    Vendors that stand twice on one side
-- check:    V4
-- entity:   vendors
-- scope:    firm
-- record_owner: erp
-- fix_side: erp
-- version:  1
-- risk:     open commitments and unpaid invoices of the repeated vendor in PM; none where it is used in the ERP alone
-- question: Which vendors share a tax id or a name, or name one counterpart together?
-- grain:    one row per repeated vendor: every one of a group but the first entered
-- fix:      Merge the two: the ERP decides which one stays, PM follows.
-- columns:
--   side               pm or erp: the side that holds both
--   reason             tax_id, name or linked_to_one
--   group_id           the record that it repeats
--   name               its name
--   group_name         the name of the one that it repeats
--   group_size         how many share it

with both_sides as (

    select 'pm' as side, source, record_id, name, name_key, tax_id_hash, upper(nullif(trim(linked_id), '')) as stored_id,
        coalesce(is_active, true) as is_active
    from pm.vendors

    union all

    select 'erp' as side, source, record_id, name, name_key, tax_id_hash, upper(nullif(trim(linked_id), '')) as stored_id,
        coalesce(is_active, true) as is_active
    from erp.vendors

),

-- Each connection has its own list of vendors: one that stands in two ERPs is no repetition.
-- Two companies of one name are two if their tax ids are known and differ. One that was merged away is inactive.
keyed as (

    select side, source, record_id, name, 1 as position, 'tax_id' as reason, tax_id_hash as shared, '' as told
    from both_sides
    where is_active and tax_id_hash is not null

    union all

    select side, source, record_id, name, 2 as position, 'name' as reason, name_key as shared, tax_id_hash as told
    from both_sides
    where is_active and name_key is not null

    union all

    select side, source, record_id, name, 3 as position, 'linked_to_one' as reason, stored_id as shared, '' as told
    from both_sides
    where is_active and stored_id is not null

),

grouped as (

    select
        keyed.*,
        first_value(record_id) over (partition by side, source, reason, shared order by length(record_id), record_id) as group_id,
        first_value(name) over (partition by side, source, reason, shared order by length(record_id), record_id) as group_name,
        count(*) over (partition by side, source, reason, shared) as group_size,
        count(told) over (partition by side, source, reason, shared) as told_count,
        min(told) over (partition by side, source, reason, shared) as first_told,
        max(told) over (partition by side, source, reason, shared) as last_told
    from keyed

),

repeated as (

    select
        grouped.*,
        row_number() over (partition by side, record_id order by position) as turn
    from grouped
    where
        group_size > 1 and
        record_id <> group_id and
        not (reason = 'name' and told_count > 1 and first_told <> last_told)

)

select
    'V4:' || repeated.side || ':' || repeated.record_id as exception_key,
    cast(null as varchar) as project_id,
    cast(null as varchar) as project_number,
    case when repeated.side = 'pm' then repeated.record_id end as pm_id,
    case when repeated.side = 'erp' then repeated.record_id end as erp_id,
    coalesce(repeated.name, repeated.record_id) as label,
    'vendor ' || coalesce(repeated.name, repeated.record_id) || ' and vendor ' || coalesce(repeated.group_name, repeated.group_id) ||
        case repeated.side when 'pm' then ' in PM ' else ' in the ERP ' end ||
        case repeated.reason
            when 'tax_id' then 'have the same tax id'
            when 'name' then 'have the same name'
            else 'are linked to one record'
        end as detail,
    case when repeated.side = 'pm' then repeated.name end as pm_value,
    case when repeated.side = 'erp' then repeated.name end as erp_value,
    cast(case when repeated.side = 'pm' then coalesce(vendor_use.open_amount, 0) else 0 end as decimal(18,2)) as amount_at_risk,
    coalesce(vendor_use.currency, setting_text('currency')) as currency,
    cast(null as timestamp with time zone) as occurred_at,
    'unknown' as cause,
    -- A repeated vendor that nothing links is V1's money already.
    case when repeated.side = 'pm' then unlinked.exception_key end as explained_by,
    case repeated.side when 'pm' then 'pm' else 'erp' end as fix_side,
    repeated.side,
    repeated.reason,
    repeated.group_id,
    repeated.name,
    repeated.group_name,
    repeated.group_size
from repeated
left join link.vendor_use on vendor_use.vendor_id = repeated.record_id
left join link.unlinked_vendors as unlinked on unlinked.pm_id = repeated.record_id
where repeated.turn = 1
