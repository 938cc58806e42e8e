-- title:    Invoices posted in another period than they bill
-- check:    I5
-- entity:   vendor_invoices
-- scope:    project
-- record_owner: pm
-- fix_side: erp
-- version:  3
-- risk:     nothing: the amounts agree, in different periods
-- question: Which bills and receivables stand in another fiscal period than the work they are for?
-- grain:    one row per linked ERP document, owner and vendor invoices
-- requires: pm.vendor_invoices.period_end, erp.fiscal_periods, erp.gl_transactions
-- fix:      Post the document in the period of the billing, or accrue the cost where that period is closed.
-- columns:
--   document           owner_invoice or vendor_invoice
--   number             PM's number
--   erp_number         the ERP's
--   pm_period_end      last day billed in PM
--   pm_period          the fiscal period of that day
--   erp_period         the period that the ERP posted the document in
--   amount             net amount of the ERP document

-- Where the document does not say in which period it is posted, the journal does; its lines name it by reference: 'Bill|000123' is
-- 000123 of module AP. Checks are numbered apart, so that check 000123 is 000123 of AP as well: only an invoice posts to a project, and a
-- reference with two periods tells nothing.
with posted as (

    select coalesce(source, '') as source, document_type, document_id, min(period) as period
    from erp.gl_transactions
    where document_id is not null and period is not null and project_id is not null
    group by coalesce(source, ''), document_type, document_id
    having min(period) = max(period)

),

pairs as (

    select 'vendor_invoice' as document, 'AP' as module, coalesce(erp_side.source, '') as source, links.pm_id, links.erp_id,
        pm_side.project_id, pm_side.number, erp_side.number as erp_number, pm_side.period_end, erp_side.posted_period,
        erp_side.net_amount as amount, erp_side.currency,
        coalesce(pm_side.approved_at, erp_side.created_at) as occurred_at
    from link.vendor_invoices as links
    inner join pm.vendor_invoices as pm_side on pm_side.record_id = links.pm_id
    inner join erp.vendor_invoices as erp_side on erp_side.record_id = links.erp_id
    where
        pm_side.approval_status in ('approved', 'closed') and
        erp_side.approval_status in ('approved', 'closed') and
        coalesce(erp_side.kind, 'progress') = 'progress'

    union all

    select 'owner_invoice' as document, 'AR' as module, coalesce(erp_side.source, '') as source, links.pm_id, links.erp_id,
        pm_side.project_id, pm_side.number, erp_side.number as erp_number, pm_side.period_end, erp_side.posted_period,
        erp_side.net_amount as amount, erp_side.currency,
        coalesce(pm_side.approved_at, erp_side.created_at) as occurred_at
    from link.owner_invoices as links
    inner join pm.owner_invoices as pm_side on pm_side.record_id = links.pm_id
    inner join erp.owner_invoices as erp_side on erp_side.record_id = links.erp_id
    where
        pm_side.approval_status in ('approved', 'closed') and
        erp_side.approval_status in ('approved', 'closed') and
        coalesce(erp_side.kind, 'progress') = 'progress'

),

-- A document that has not reached the journal is not posted, and nothing is wrong with its period.
compared as (

    select
        pairs.*,
        periods.period as pm_period,
        coalesce(pairs.posted_period, posted.period) as erp_period,
        row_number() over (partition by pairs.document, pairs.erp_id order by pairs.pm_id) as turn
    from pairs
    left join posted on
        posted.source = pairs.source and
        posted.document_type = pairs.module and
        posted.document_id = split_part(own_key(pairs.source, pairs.erp_id), '|', -1)
    inner join erp.fiscal_periods as periods on
        coalesce(periods.source, '') = pairs.source and
        pairs.period_end >= periods.starts_on and
        pairs.period_end <= periods.ends_on

)

select
    'I5:' || compared.document || ':' || compared.erp_id as exception_key,
    compared.project_id,
    projects.number as project_number,
    compared.pm_id,
    compared.erp_id,
    coalesce(compared.number, compared.pm_id) as label,
    replace(compared.document, '_', ' ') || ' ' || coalesce(compared.number, compared.pm_id) || ' bills period ' || compared.pm_period ||
        ' in PM and is posted in ' || compared.erp_period || ' in the ERP' as detail,
    compared.pm_period as pm_value,
    compared.erp_period as erp_value,
    cast(0 as decimal(18,2)) as amount_at_risk,
    coalesce(compared.currency, setting_text('currency')) as currency,
    compared.occurred_at,
    'timing: other period' as cause,
    cast(null as varchar) as explained_by,
    case compared.document when 'owner_invoice' then 'owner_invoices' else 'vendor_invoices' end as entity,
    compared.document,
    compared.number,
    compared.erp_number,
    compared.period_end as pm_period_end,
    compared.pm_period,
    compared.erp_period,
    compared.amount
from compared
left join pm.projects on projects.record_id = compared.project_id
where compared.turn = 1 and compared.pm_period <> compared.erp_period
