-- title:    Gaps in numbered documents
-- question: Which numbers are missing between documents that were numbered in a row, up to the date?
-- grain:    one row per gap; one without numbers where there is none
-- columns:
--   pin                the pin that is read, or `not pinned`
--   accounting_date    gaps after a document of a later date are left out
--   status             complete, partial (some project was not read), not_evaluated or not_applicable: read it before the rest
--   reason             why it is not complete
--   side               pm or erp
--   source             the connection
--   series             bills, owner_invoices, disbursements (checks), change_orders, applications (of one owner contract)
--   scope              the contract that the series runs in, and its project
--   prefix             what stands before the digits
--   missing_from       the first missing number
--   missing_to         the last one
--   missing_count      how many
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

contracts as (

    select 'commitment:' || record_id as scope_id, number, project_id from pm.commitments
    union all
    select 'prime:' || record_id as scope_id, number, project_id from pm.prime_contracts
    union all
    select record_id as scope_id, number, project_id from pm.prime_contracts

),

gaps as (

    select followed.*, coalesce(projects.number || ' ', '') || coalesce(contracts.number, followed.scope_id) as scope
    from followed
    left join contracts on contracts.scope_id = followed.scope_id
    left join pm.projects on projects.record_id = contracts.project_id
    cross join meta.clock
    where followed.next_place > followed.place + 1 and coalesce(followed.dated <= clock.accounting_date, true)

)

select
    coalesce(clock.pin, 'not pinned') as pin,
    clock.accounting_date,
    ground.status,
    ground.reason,
    gaps.side,
    gaps.source,
    gaps.series,
    gaps.scope,
    nullif(gaps.prefix, '') as prefix,
    gaps.place + 1 as missing_from,
    gaps.next_place - 1 as missing_to,
    gaps.next_place - gaps.place - 1 as missing_count,
    gaps.next_place - gaps.place - 1 > gaps.number_count as is_new_range,
    gaps.number as number_before,
    gaps.dated as dated_before,
    gaps.next_number as number_after,
    gaps.next_dated as dated_after
from ground
cross join meta.clock
left join gaps on true
