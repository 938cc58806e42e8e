-- title:    Invoices that stand twice
-- check:    I9
-- entity:   vendor_invoices
-- scope:    project
-- record_owner: pm
-- fix_side: erp
-- version:  3
-- risk:     the net amount of the repeated document
-- question: Which invoice was billed twice, on either side?
-- grain:    one row per repeated document: every one of a group but the first entered
-- requires: erp.vendor_invoices
-- fix:      Void the repeated document before it is paid.
-- columns:
--   side               pm or erp: the side that holds both
--   document           owner_invoice or vendor_invoice
--   number             the number that both carry
--   repeats_id         record id of the first one
--   repeats_number     its number
--   party_id           that side's record id of the vendor; the project for owner invoices
--   amount             net amount of this document

with documents as (

    select 'pm' as side, 'vendor_invoice' as document, record_id, number, number_key, project_id, vendor_id as party_id,
        commitment_id as contract_id, kind, approval_status, gross_amount, net_amount, currency, created_at
    from pm.vendor_invoices

    union all

    select 'erp' as side, 'vendor_invoice' as document, record_id, number, number_key, project_id, vendor_id as party_id,
        commitment_id as contract_id, kind, approval_status, gross_amount, net_amount, currency, created_at
    from erp.vendor_invoices

    union all

    select 'pm' as side, 'owner_invoice' as document, record_id, number, number_key, project_id, project_id as party_id,
        contract_id, kind, approval_status, gross_amount, net_amount, currency, created_at
    from pm.owner_invoices

    union all

    select 'erp' as side, 'owner_invoice' as document, record_id, number, number_key, project_id, project_id as party_id,
        contract_id, kind, approval_status, gross_amount, net_amount, currency, created_at
    from erp.owner_invoices

),

-- Two equal halves of one PM invoice agree with it together.
pairs as (

    select
        turns.erp_id,
        sum(case when turns.is_first_of_pm then pm_side.net_amount end) over (partition by turns.group_id) as pm_net,
        sum(case when turns.is_first_of_erp then erp_side.net_amount end) over (partition by turns.group_id) as erp_net
    from shared.group_turns as turns
    left join pm.vendor_invoices as pm_side on pm_side.record_id = turns.pm_id
    left join erp.vendor_invoices as erp_side on erp_side.record_id = turns.erp_id

),

whole as (

    select distinct erp_id from pairs where abs(pm_net - erp_net) <= setting_decimal('amount_tolerance')

),

living as (

    select *, coalesce(gross_amount, net_amount) as amount
    from documents
    where
        number_key is not null and
        party_id is not null and
        net_amount <> 0 and
        coalesce(approval_status, 'pending') not in ('void', 'rejected')

),

-- What stands once repeats nothing.
repeated as (

    select side, document, party_id, number_key, kind, amount, min(contract_id) as contract_id
    from living
    group by side, document, party_id, number_key, kind, amount
    having count(*) > 1

),

-- Entered once with its contract and once without, it is the same document.
contracted as (

    select living.*, coalesce(living.contract_id, repeated.contract_id, '') as contract
    from living
    inner join repeated on
        (repeated.side is not distinct from living.side) and
        (repeated.document is not distinct from living.document) and
        (repeated.party_id is not distinct from living.party_id) and
        (repeated.number_key is not distinct from living.number_key) and
        (repeated.kind is not distinct from living.kind) and
        (repeated.amount is not distinct from living.amount)

),

-- Same party, contract, number and amount before retainage: of one document entered twice, one may since have been corrected.
-- One supplier's number on two amounts is a bill split in two, and I4's question. Of two, the one that is linked and agrees is
-- the invoice, and the other repeats it, whichever was entered first.
grouped as (

    select
        contracted.*,
        whole.erp_id is not null as is_whole,
        first_value(contracted.record_id) over same as repeats_id,
        first_value(contracted.number) over same as repeats_number
    from contracted
    left join whole on contracted.side = 'erp' and contracted.document = 'vendor_invoice' and whole.erp_id = contracted.record_id
    window same as (
        partition by contracted.side, contracted.document, contracted.party_id, contracted.contract, contracted.number_key, contracted.kind,
            contracted.amount
        order by case when whole.erp_id is null then 1 else 0 end, contracted.created_at, length(contracted.record_id), contracted.record_id
    )

)

select
    'I9:' || repeated.side || ':' || repeated.document || ':' || repeated.record_id as exception_key,
    case when repeated.side = 'pm' then repeated.project_id else coalesce(erp_projects.project_id, repeated.project_id) end as project_id,
    coalesce(pm_projects.number, erp_projects.project_number) as project_number,
    case when repeated.side = 'pm' then repeated.record_id end as pm_id,
    case when repeated.side = 'erp' then repeated.record_id end as erp_id,
    coalesce(repeated.number, repeated.record_id) as label,
    replace(repeated.document, '_', ' ') || ' ' || repeated.number || ' over ' || cast(repeated.net_amount as varchar) || ' stands twice' ||
        case repeated.side when 'pm' then ' in PM: ' else ' in the ERP: ' end || repeated.repeats_id || ' and ' || repeated.record_id as detail,
    case when repeated.side = 'pm' then cast(repeated.net_amount as varchar) end as pm_value,
    case when repeated.side = 'erp' then cast(repeated.net_amount as varchar) end as erp_value,
    cast(abs(repeated.net_amount) as decimal(18,2)) as amount_at_risk,
    coalesce(repeated.currency, setting_text('currency')) as currency,
    repeated.created_at as occurred_at,
    'unknown' as cause,
    cast(null as varchar) as explained_by,
    case repeated.document when 'owner_invoice' then 'owner_invoices' else 'vendor_invoices' end as entity,
    repeated.side as fix_side,
    repeated.side, repeated.document, repeated.number,
    repeated.repeats_id, repeated.repeats_number,
    repeated.party_id,
    repeated.net_amount as amount
from grouped as repeated
left join link.erp_projects as erp_projects on repeated.side = 'erp' and erp_projects.erp_id = repeated.project_id
left join pm.projects as pm_projects on repeated.side = 'pm' and pm_projects.record_id = repeated.project_id
where repeated.record_id <> repeated.repeats_id and not repeated.is_whole
