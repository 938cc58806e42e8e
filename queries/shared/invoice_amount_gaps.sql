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
        group_id,
        pm_id,
        erp_id,
        row_number() over (partition by pm_id order by erp_id) as pm_turn,
        row_number() over (partition by erp_id order by pm_id) as erp_turn
    from link.entity

),

-- Each document counts once in its group: a requisition split in two bills is one amount against the sum of two.
grouped as (

    select
        pairs.group_id,
        min(pairs.erp_id) as erp_id,
        min(pm_side.project_id) as project_id,
        min(pm_side.number) as pm_number,
        string_agg(erp_side.number, ', ' order by erp_side.number) as erp_numbers,
        max(coalesce(pm_side.approved_at, erp_side.created_at)) as occurred_at,
        count(pm_side.record_id) as pm_document_count,
        count(erp_side.record_id) as erp_document_count,
        min(pm_side.currency) as pm_currency,
        max(pm_side.currency) as pm_last_currency,
        min(erp_side.currency) as erp_currency,
        max(erp_side.currency) as erp_last_currency,
        sum(pm_side.gross_amount) as pm_gross,
        sum(pm_side.retainage_amount) as pm_retainage,
        sum(pm_side.tax_amount) as pm_tax,
        sum(pm_side.net_amount) as pm_net,
        sum(erp_side.gross_amount) as erp_gross,
        sum(erp_side.retainage_amount) as erp_retainage,
        sum(erp_side.tax_amount) as erp_tax,
        sum(erp_side.net_amount) as erp_net
    from pairs
    left join pm.entity as pm_side on
        pm_side.record_id = pairs.pm_id and
        pairs.pm_turn = 1 and
        coalesce(pm_side.approval_status, 'pending') not in ('void', 'rejected')
    left join erp.entity as erp_side on
        erp_side.record_id = pairs.erp_id and
        pairs.erp_turn = 1 and
        coalesce(erp_side.approval_status, 'pending') not in ('void', 'rejected')
    group by pairs.group_id

),

-- A component that a side never tells (its whole column is null) is not mapped there and not comparable.
pm_mapped as (

    select
        count(gross_amount) as gross,
        count(retainage_amount) as retainage,
        count(tax_amount) as tax,
        count(net_amount) as net
    from pm.entity

),

erp_mapped as (

    select
        count(gross_amount) as gross,
        count(retainage_amount) as retainage,
        count(tax_amount) as tax,
        count(net_amount) as net,
        count(case when retainage_amount <> 0 then 1 end) as retained
    from erp.entity

),

-- A group with no living document on one side is missing there, which other checks report.
compared as (

    select
        grouped.*,
        components.component,
        pm_currency <> pm_last_currency or erp_currency <> erp_last_currency or
            coalesce(pm_currency <> erp_currency, false) as currency_differs,
        erp_mapped.retained,
        coalesce(pm_gross, 0) - coalesce(erp_gross, 0) as gross_difference,
        coalesce(pm_retainage, 0) - coalesce(erp_retainage, 0) as retainage_difference,
        coalesce(pm_net, 0) - coalesce(erp_net, 0) as net_difference,
        pm_mapped.gross > 0 and erp_mapped.gross > 0 as gross_comparable,
        pm_mapped.retainage > 0 and erp_mapped.retainage > 0 as retainage_comparable,
        case component
            when 'gross' then pm_mapped.gross > 0 and erp_mapped.gross > 0
            when 'retainage' then pm_mapped.retainage > 0 and erp_mapped.retainage > 0
            -- Procore Edge for Acumatica syncs no tax: what the ERP adds is its own.
            when 'tax' then pm_mapped.tax > 0 and erp_mapped.tax > 0 and setting_text('connector_profile') <> 'procore-acumatica-edge'
            when 'net' then pm_mapped.net > 0 and erp_mapped.net > 0
            else true
        end as is_comparable,
        case component
            when 'gross' then pm_gross when 'retainage' then pm_retainage when 'tax' then pm_tax when 'net' then pm_net
        end as pm_amount,
        case component
            when 'gross' then erp_gross when 'retainage' then erp_retainage when 'tax' then erp_tax when 'net' then erp_net
        end as erp_amount
    from grouped
    cross join (values ('currency'), ('gross'), ('retainage'), ('tax'), ('net')) as components (component)
    cross join pm_mapped
    cross join erp_mapped
    where
        pm_document_count > 0 and
        erp_document_count > 0

),

-- No amount against 0.00 is no money; no amount against any other is all of it, never a null that drops the row.
different as (

    select
        compared.*,
        coalesce(pm_amount, 0) - coalesce(erp_amount, 0) as difference
    from compared
    where
        is_comparable and
        case
            when component = 'currency' then coalesce(currency_differs, false)
            else
                not coalesce(currency_differs, false) and
                abs(coalesce(pm_amount, 0) - coalesce(erp_amount, 0)) > setting_decimal('amount_tolerance')
        end

),

-- Net is gross less retainage: where those account for it, it is no second loss. Retainage on work that the other side
-- lacks follows from the work. Gross 100 and retainage 10 and net 90 short is one difference of 100.
explained as (

    select
        different.*,
        gross_comparable and abs(gross_difference) > setting_decimal('amount_tolerance') as gross_differs,
        retainage_comparable and abs(retainage_difference) > setting_decimal('amount_tolerance') as retainage_differs
    from different

)

select
    explained.group_id,
    explained.component,
    explained.project_id,
    projects.number as project_number,
    explained.erp_id,
    coalesce(explained.pm_number, explained.group_id) as invoice,
    explained.pm_number,
    explained.erp_numbers,
    explained.pm_document_count,
    explained.erp_document_count,
    case
        when explained.component = 'currency' then
            'is in ' || coalesce(explained.pm_currency, 'no currency') || ' in PM and in ' ||
            coalesce(explained.erp_currency, 'no currency') || ' in the ERP'
        else
            'is ' || coalesce(cast(explained.pm_amount as varchar), 'not told') || ' in PM and ' ||
            coalesce(cast(explained.erp_amount as varchar), 'not told') || ' in the ERP'
    end as told,
    case when component = 'currency' then explained.pm_currency else cast(explained.pm_amount as varchar) end as pm_value,
    case when component = 'currency' then explained.erp_currency else cast(explained.erp_amount as varchar) end as erp_value,
    cast(explained.pm_amount as decimal(18,2)) as pm_amount,
    cast(explained.erp_amount as decimal(18,2)) as erp_amount,
    cast(case when explained.component <> 'currency' then explained.difference end as decimal(18,2)) as difference,
    cast(abs(explained.difference) as decimal(18,2)) as amount_at_risk,
    coalesce(explained.pm_currency, explained.erp_currency, setting_text('currency')) as currency,
    explained.occurred_at,
    case
        when explained.component = 'currency' then 'currency_differs'
        when explained.component = 'retainage' and explained.retained = 0 then 'retainage not synced by this connector'
        else 'unknown'
    end as cause,
    case
        when explained.component = 'net' and explained.gross_differs and
            abs(net_difference - gross_difference + retainage_difference) <= setting_decimal('amount_tolerance')
            then 'gross'
        when explained.component = 'net' and explained.retainage_differs and
            abs(net_difference + retainage_difference) <= setting_decimal('amount_tolerance')
            then 'retainage'
        when explained.component = 'retainage' and explained.gross_differs and
            retainage_difference * gross_difference > 0 and abs(retainage_difference) < abs(gross_difference)
            then 'gross'
    end as explained_by,
    case
        when explained.component = 'currency' then 'currency_differs'
        when explained.pm_amount is null then 'missing_in_pm'
        when explained.erp_amount is null then 'missing_in_erp'
        else 'differs'
    end as comparison
from explained
left join pm.projects on projects.record_id = explained.project_id
