-- title:    Linked invoices whose amounts differ, by component
-- question: Where do an invoice and its counterpart disagree? Owner and vendor invoices are compared by the same rules
-- grain:    one row per linked group and component that differs; `entity` stands for the entity of its reader
-- columns:
--   group_id           PM's record id of the group
--   component          gross, retainage, tax, net; currency if the sides use different ones
--   comparison         differs, missing_in_pm, missing_in_erp or currency_differs
--   told               what each side says, in words
--   explained_by       the component of the same group that this one follows from
--   invoice            what people call it: PM's number, else the group

with pairs as (

    select
        linked.group_id, linked.pm_id, linked.erp_id,
        linked.erp_id = pm_firsts.erp_id as is_first_of_pm,
        linked.pm_id = erp_firsts.pm_id as is_first_of_erp
    from link.entity as linked
    left join (select pm_id, min(erp_id) as erp_id from link.entity group by pm_id) as pm_firsts on pm_firsts.pm_id = linked.pm_id
    left join (select erp_id, min(pm_id) as pm_id from link.entity group by erp_id) as erp_firsts on erp_firsts.erp_id = linked.erp_id

),

-- Each document counts once in its group: a requisition split in two bills is one amount against the sum of two. A group with
-- no living document on one side is missing there, which other checks report.
grouped as materialized (

    select
        pairs.group_id, min(pairs.erp_id) as erp_id, min(pm_side.project_id) as project_id,
        min(pm_side.number) as pm_number, string_agg(erp_side.number, ', ' order by erp_side.number) as erp_numbers,
        count(pm_side.record_id) as pm_document_count, count(erp_side.record_id) as erp_document_count,
        max(coalesce(pm_side.approved_at, erp_side.created_at)) as occurred_at,
        coalesce(min(pm_side.source), '') as pm_source, coalesce(min(erp_side.source), '') as erp_source,
        bool_and(coalesce(pm_side.has_tax, true)) as has_tax, min(pm_side.currency) as pm_currency, min(erp_side.currency) as erp_currency,
        min(least(pm_side.currency, erp_side.currency)) <> max(greatest(pm_side.currency, erp_side.currency)) as currency_differs,
        sum(pm_side.gross_amount) as pm_gross, sum(erp_side.gross_amount) as erp_gross,
        sum(pm_side.retainage_amount) as pm_retainage, sum(erp_side.retainage_amount) as erp_retainage,
        sum(pm_side.tax_amount) as pm_tax, sum(erp_side.tax_amount) as erp_tax,
        sum(pm_side.net_amount) as pm_net, sum(erp_side.net_amount) as erp_net
    from pairs
    left join pm.entity as pm_side on pm_side.record_id = pairs.pm_id and pairs.is_first_of_pm and
        coalesce(pm_side.approval_status, 'pending') not in ('void', 'rejected')
    left join erp.entity as erp_side on erp_side.record_id = pairs.erp_id and pairs.is_first_of_erp and
        coalesce(erp_side.approval_status, 'pending') not in ('void', 'rejected')
    group by pairs.group_id
    having count(pm_side.record_id) > 0 and count(erp_side.record_id) > 0

),

told as (

    select side, coalesce(source, '') as source, count(gross_amount) > 0 as gross, count(retainage_amount) > 0 as retainage,
        count(tax_amount) > 0 as tax, count(case when tax_amount <> 0 then 1 end) > 0 as charges_tax, count(net_amount) > 0 as net,
        count(case when retainage_amount <> 0 then 1 end) > 0 as retains
    from (select 'pm' as side, * from pm.entity union all select 'erp' as side, * from erp.entity) as documents
    group by side, coalesce(source, '')

),

-- A component that a connection never tells (its whole column is null) is not mapped there and not comparable. A PM without retainage
-- bills in full: gross is compared, and net says nothing of what the ERP retained from, if retaining is usual there. Tax that no document of PM
-- has is the ERP's own, and that of a kind of invoice on which PM has no place for any (has_tax); so is it under Procore Edge for Acumatica,
-- which syncs none.
--   PM 1,000.00 and no word of retainage; ERP gross 1,000.00, retained 100.00, tax 72.50, net 900.00 → nothing differs.
mapped as (

    select pm_told.source as pm_source, erp_told.source as erp_source,
        pm_told.gross and erp_told.gross as gross,
        pm_told.retainage and erp_told.retainage as retainage,
        pm_told.charges_tax and erp_told.tax and setting_text('connector_profile') <> 'procore-acumatica-edge' as tax,
        pm_told.net and erp_told.net as net,
        not erp_told.tax as tax_is_within,
        pm_told.retainage or not erp_told.retainage or not (pm_told.gross and erp_told.gross) as net_is_alike,
        case when erp_told.retains then 'unknown' else 'retainage not synced by this connector' end as retainage_cause
    from told as pm_told
    inner join told as erp_told on pm_told.side = 'pm' and erp_told.side = 'erp'

),

-- An ERP that tells no tax of any document has it within its amounts, if it has any: PM's are taken with their tax where that makes them equal.
--   PM gross 1,000.00 and tax 72.50; ERP gross 1,072.50 and no word of tax → nothing differs. ERP gross 1,000.00 → nothing either.
taxed as (

    select grouped.group_id, grouped.pm_tax as tax
    from grouped
    inner join mapped on mapped.pm_source = grouped.pm_source and mapped.erp_source = grouped.erp_source
    where
        mapped.tax_is_within and
        abs(coalesce(pm_gross, pm_net) + pm_tax - coalesce(erp_gross, erp_net)) <= setting_decimal('amount_tolerance')

),

-- Where the ERP retains of every other document or more, a PM that has no word for it lacks the word, not the money.
retaining as (

    select pm_source, erp_source, 2 * count(case when erp_retainage <> 0 then 1 end) >= count(*) as is_usual
    from grouped
    group by pm_source, erp_source

),

-- No amount against 0.00 is no money; no amount against any other is all of it, never a null that drops the row.
compared as (

    select
        grouped.*, component, mapped.gross as gross_comparable, mapped.retainage as retainage_comparable, retainage_cause,
        coalesce(pm_gross, 0) + coalesce(taxed.tax, 0) - coalesce(erp_gross, 0) as gross_gap,
        coalesce(pm_retainage, 0) - coalesce(erp_retainage, 0) as retainage_gap,
        (array[pm_gross + coalesce(taxed.tax, 0), pm_retainage, pm_tax, pm_net + coalesce(taxed.tax, 0)])[place] as pm_amount,
        (array[erp_gross, erp_retainage, erp_tax, erp_net])[place] as erp_amount
    from grouped
    cross join (values ('currency', 0), ('gross', 1), ('retainage', 2), ('tax', 3), ('net', 4)) as components (component, place)
    inner join mapped on mapped.pm_source = grouped.pm_source and mapped.erp_source = grouped.erp_source
    inner join retaining on retaining.pm_source = grouped.pm_source and retaining.erp_source = grouped.erp_source
    left join taxed on taxed.group_id = grouped.group_id
    where
        component = 'currency' or
        (array[
            mapped.gross, mapped.retainage, mapped.tax and grouped.has_tax,
            mapped.net and (net_is_alike or not is_usual or coalesce(erp_retainage, 0) = 0)
        ])[place]

),

different as (

    select
        *, setting_decimal('amount_tolerance') as tolerance, coalesce(pm_amount, 0) - coalesce(erp_amount, 0) as difference,
        gross_comparable and abs(gross_gap) > setting_decimal('amount_tolerance') as gross_differs,
        retainage_comparable and abs(retainage_gap) > setting_decimal('amount_tolerance') as retainage_differs,
        case when component = 'currency' then pm_currency else cast(pm_amount as varchar) end as pm_value,
        case when component = 'currency' then erp_currency else cast(erp_amount as varchar) end as erp_value
    from compared

)

-- Net is gross less retainage: where those account for it, it is no second loss. Retainage on work that the other side
-- lacks follows from the work. Gross 100 and retainage 10 and net 90 short is one difference of 100.
select
    group_id, component, project_id, erp_id,
    coalesce(pm_number, group_id) as invoice, pm_number, erp_numbers, pm_document_count, erp_document_count,
    case when component = 'currency'
        then 'is in ' || coalesce(pm_value, 'no currency') || ' in PM and in ' || coalesce(erp_value, 'no currency')
        else 'is ' || coalesce(pm_value, 'not told') || ' in PM and ' || coalesce(erp_value, 'not told')
    end || ' in the ERP' as told,
    pm_value, erp_value, cast(pm_amount as decimal(18,2)) as pm_amount, cast(erp_amount as decimal(18,2)) as erp_amount,
    cast(case when component <> 'currency' then difference end as decimal(18,2)) as difference,
    cast(abs(difference) as decimal(18,2)) as amount_at_risk,
    coalesce(pm_currency, erp_currency, setting_text('currency')) as currency, occurred_at,
    case component when 'currency' then 'currency_differs' when 'retainage' then retainage_cause else 'unknown' end as cause,
    case
        when component = 'net' and gross_differs and abs(difference - gross_gap + retainage_gap) <= tolerance then 'gross'
        when component = 'net' and retainage_differs and abs(difference + retainage_gap) <= tolerance then 'retainage'
        when component = 'retainage' and gross_differs and difference * gross_gap > 0 and abs(difference) < abs(gross_gap) then 'gross'
    end as explained_by,
    case
        when component = 'currency' then 'currency_differs' when pm_amount is null then 'missing_in_pm'
        when erp_amount is null then 'missing_in_erp' else 'differs'
    end as comparison
from different
where coalesce(currency_differs, false) = (component = 'currency') and (component = 'currency' or abs(difference) > tolerance)
