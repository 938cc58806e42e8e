-- title:    Gaps in numbered documents
-- question: Which numbers are missing between documents that were numbered in a row, up to the date?
-- grain:    one row per gap, and per series that is numbered in no row; one without numbers where there is none
-- columns:
--   pin                the pin that is read, or `not pinned`
--   accounting_date    gaps after a document of a later date are left out
--   status             complete, partial (some project was not read), not_evaluated (also: the series has too many gaps to be a row) or
--                      not_applicable: read it before the rest
--   reason             why it is not complete
--   side               pm or erp
--   source             the connection
--   series             bills, owner_invoices, disbursements (checks), change_orders, applications (of one owner contract)
--   scope              the contract that the series runs in, and its project; the company or type, where the ERP numbers each anew
--   prefix             what stands before the digits
--   missing_from       the first missing number
--   missing_to         the last one
--   missing_count      how many; of a series in no row all
--   is_new_range       more are missing than the series has: rather a number range that was begun anew than a gap
--   number_before      the document before the gap
--   dated_before       its date
--   number_after       the document after it
--   dated_after        its date
-- sources:  completeness by accounting for the sequence (AU-C 330, 500). Void documents are there; a number that was never used, deleted
--           before release, or stands in a list that was not read is a gap to be explained.

with ground as (

    select status, reason from link.audit_grounds where view_name = 'sequence_gaps' and project_id is null

),

numbers as (

    select side, source, series, scope_id, prefix, place, min(number) as number, min(dated) as dated
    from link.document_numbers
    group by side, source, series, scope_id, prefix, place

),

followed as (

    select
        numbers.*,
        lead(place) over (partition by side, source, series, scope_id, prefix order by place) as next_place,
        lead(number) over (partition by side, source, series, scope_id, prefix order by place) as next_number,
        lead(dated) over (partition by side, source, series, scope_id, prefix order by place) as next_dated,
        count(*) over (partition by side, source, series, scope_id, prefix) as number_count
    from numbers

),

jumps as (

    select
        followed.*,
        next_place - place - 1 as missing_count,
        next_place - place - 1 > number_count as is_new_range,
        -- Vendors' own invoice numbers, or keys that all kinds of record share, are followed by a gap nearly always.
        --   17, 90, 412, 7003 → no row; 1, 2, 5, 6, 7 → a row with one gap.
        number_count >= 4 and (
            count(*) over (partition by side, source, series, scope_id, prefix) * 2 > number_count or
            sum(case when next_place - place - 1 <= number_count then next_place - place - 1 else 0 end)
                over (partition by side, source, series, scope_id, prefix) > number_count
        ) as is_no_row
    from followed
    where next_place > place + 1

),

found as (

    select side, source, series, scope_id, prefix, false as is_no_row, place + 1 as missing_from, next_place - 1 as missing_to, missing_count,
        is_new_range, number as number_before, dated as dated_before, next_number as number_after, next_dated as dated_after
    from jumps
    cross join meta.clock
    where not is_no_row and coalesce(dated <= clock.accounting_date, true)

    union all

    select side, source, series, scope_id, prefix, true as is_no_row, null, null, sum(missing_count), null, min(number), min(dated), max(next_number),
        max(next_dated)
    from jumps
    where is_no_row
    group by side, source, series, scope_id, prefix

),

contracts as (

    select source, 'commitment:' || record_id as scope_id, number, project_id from pm.commitments
    union all
    select source, 'prime:' || record_id as scope_id, number, project_id from pm.prime_contracts
    union all
    select source, record_id as scope_id, number, project_id from pm.prime_contracts

)

select
    coalesce(clock.pin, 'not pinned') as pin,
    clock.accounting_date,
    case when gaps.is_no_row and ground.status in ('complete', 'partial') then 'not_evaluated' else ground.status end as status,
    case when gaps.is_no_row and ground.status in ('complete', 'partial') then 'these numbers are not given out in a row' else ground.reason end as reason,
    gaps.side,
    gaps.source,
    gaps.series,
    coalesce(projects.number || ' ', '') || coalesce(contracts.number, gaps.scope_id) as scope,
    nullif(gaps.prefix, '') as prefix,
    gaps.missing_from,
    gaps.missing_to,
    gaps.missing_count,
    gaps.is_new_range,
    gaps.number_before,
    gaps.dated_before,
    gaps.number_after,
    gaps.dated_after
from ground
cross join meta.clock
left join found as gaps on true
left join contracts on gaps.side = 'pm' and contracts.scope_id = gaps.scope_id and contracts.source = gaps.source
left join pm.projects on projects.record_id = contracts.project_id and projects.source = contracts.source
