-- title:    Owner invoices approved in PM with no ERP receivable
-- check:    I1
-- entity:   owner_invoices
-- scope:    project
-- missing_on: erp
-- record_owner: pm
-- fix_side: pm
-- version:  1
-- risk:     the net amount of the application's period, without its sign
-- question: Which approved applications for payment has accounting never billed?
-- grain:    one row per PM owner invoice
-- grace:    24 hours
-- requires: erp.owner_invoices
-- fix:      Send the application to the ERP; else enter the receivable there.
-- columns:
--   number             the number people use
--   application_number number of the application on its contract
--   contract_id        PM's record id of the contract
--   period_end         last day billed
--   approved_at        when PM approved it, UTC
--   gross_amount       this period: work and stored materials
--   net_amount         this period: gross less retainage
--   stored_erp_id      the ERP id that PM stores, if any
--   sync_error         the integration tool's message

-- An application over nothing, approved to close the month, is nothing to bill.
with missing as (

    select invoices.*
    from pm.owner_invoices as invoices
    left anti join link.owner_invoices as links on links.pm_id = invoices.record_id
    where
        invoices.approval_status in ('approved', 'closed') and
        (coalesce(invoices.gross_amount, 1) <> 0 or coalesce(invoices.net_amount, 1) <> 0)

),

-- More than one receivable may be meant: R2 says which.
ambiguous as (

    select project_id, number_key, count(*) as candidates
    from erp.owner_invoices
    where coalesce(approval_status, 'pending') not in ('void', 'rejected') and kind = 'progress'
    group by project_id, number_key
    having count(*) > 1

),

linked_projects as (

    select pm_id, min(erp_id) as erp_id from link.projects group by pm_id

)

select
    'I1:' || missing.record_id as exception_key,
    missing.project_id,
    projects.number as project_number,
    missing.record_id as pm_id,
    cast(null as varchar) as erp_id,
    coalesce(missing.number, missing.record_id) as label,
    'owner invoice ' || coalesce(missing.number, missing.record_id) || ' over ' || coalesce(cast(missing.net_amount as varchar), 'no amount') ||
        ' is approved in PM and not in the ERP' as detail,
    cast(missing.net_amount as varchar) as pm_value,
    cast(null as varchar) as erp_value,
    cast(abs(coalesce(missing.net_amount, missing.gross_amount)) as decimal(18,2)) as amount_at_risk,
    coalesce(missing.currency, setting_text('currency')) as currency,
    coalesce(missing.approved_at, missing.updated_at, missing.created_at) as occurred_at,
    case
        when nullif(trim(missing.sync_error), '') is not null then 'failed with message'
        when lower(missing.sync_status) like '%reject%' then 'rejected by accounting'
        else 'unknown'
    end as cause,
    case
        when linked_projects.erp_id is null then 'J1:' || missing.project_id
        when ambiguous.candidates > 1 then 'R2:owner_invoices:pm:' || missing.record_id
    end as explained_by,
    missing.number,
    missing.application_number,
    missing.contract_id,
    missing.period_end,
    missing.approved_at,
    missing.gross_amount,
    missing.net_amount,
    missing.linked_id as stored_erp_id,
    missing.sync_error
from missing
left join linked_projects on linked_projects.pm_id = missing.project_id
left join ambiguous on
    ambiguous.project_id = linked_projects.erp_id and
    ambiguous.number_key = missing.number_key
left join pm.projects on projects.record_id = missing.project_id
