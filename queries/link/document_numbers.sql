-- title:    Numbers of documents that are given out in a row
-- question: Which numbers of which series does each side hold?
-- grain:    one row per document and series that it is numbered in, whatever its status: a void number is not missing
-- columns:
--   side               pm or erp
--   source             the connection
--   series             bills, owner_invoices, disbursements, change_orders, applications (of one owner contract)
--   scope_id           what a series runs in: the contract; the company or type, where the ERP numbers each anew; else nothing
--   prefix             what stands before the digits
--   place              the digits as a number
--   number             as written
--   dated              its date
-- A number counts by its digits at the end: SC-0012 is 12 of the series SC-. The ERP's own reference is the last part of its record id
-- (Bill|000012 and Debit Adj.|000013 are one series), because the number of a bill is its vendor's. Where one reference stands twice, what
-- stands before it numbers by itself: 01|12 and 02|12 are two companies' vouchers.

with documents as (

    select 'erp' as side, source, 'bills' as series, regexp_replace(record_id, '[|]?[^|]*$', '') as scope_id,
        split_part(own_key(source, record_id), '|', -1) as number, invoice_date as dated
    from erp.vendor_invoices

    union all

    select 'erp' as side, source, 'owner_invoices' as series, regexp_replace(record_id, '[|]?[^|]*$', '') as scope_id,
        split_part(own_key(source, record_id), '|', -1) as number, billing_date as dated
    from erp.owner_invoices

    union all

    -- Checks by the number on the paper; other methods have traces that the bank gives out.
    select 'erp' as side, source, 'disbursements' as series, cast(null as varchar) as scope_id, number, payment_date as dated
    from erp.payments
    where direction = 'disbursement' and lower(coalesce(method, 'check')) like '%check%'

    union all

    -- A key that begins with its contract's is numbered in the contract.
    select 'erp' as side, source, 'change_orders' as series, case when starts_with(record_id, contract_id || '|') then contract_id end as scope_id, number,
        min(firm_day(coalesce(approved_at, created_at))) as dated
    from erp.change_orders
    group by source, case when starts_with(record_id, contract_id || '|') then contract_id end, number

    union all

    select 'pm' as side, source, 'change_orders' as series, kind || ':' || contract_id as scope_id, number, firm_day(created_at) as dated
    from pm.change_orders

    union all

    select 'pm' as side, source, 'applications' as series, contract_id as scope_id, cast(application_number as varchar) as number,
        coalesce(billing_date, period_end) as dated
    from pm.owner_invoices

),

placed as (

    select
        documents.*,
        regexp_replace(number, '[0-9]+$', '') as prefix,
        cast(right(regexp_replace(number, '^.*[^0-9]', ''), 18) as bigint) as place
    from documents
    where regexp_like(number, '[0-9]$') and length(regexp_replace(number, '^.*[^0-9]', '')) <= 18

),

-- Series of which a number was given more than once.
repeating as (

    select distinct side, source, series
    from (
        select side, source, series from placed group by side, source, series, prefix, place having count(*) > 1
    ) as repeated

)

select
    placed.side,
    placed.source,
    placed.series,
    case when placed.series not in ('bills', 'owner_invoices') or repeating.series is not null then placed.scope_id end as scope_id,
    placed.prefix,
    placed.place,
    placed.number,
    placed.dated
from placed
left join repeating on
    (repeating.side is not distinct from placed.side) and
    (repeating.source is not distinct from placed.source) and
    (repeating.series is not distinct from placed.series)
