-- title:    ERP receivables on synced projects with no PM source
-- check:    I10
-- entity:   owner_invoices
-- scope:    project
-- missing_on: pm
-- record_owner: pm
-- fix_side: erp
-- version:  1
-- risk:     the net amount of the receivable, without its sign
-- question: What was billed to an owner that PM knows nothing of?
-- grain:    one row per ERP document; retainage releases excluded
-- grace:    24 hours
-- fix:      Enter the application in PM, or reverse the receivable.
-- columns:
--   number             ERP's number
--   kind               progress, credit or prepayment
--   application_number number of the application, where the ERP tells
--   billing_date       date of the document
--   approval_status    its status in the ERP
--   net_amount         without retainage and tax

with missing as (

    select invoices.*, projects.pm_id, projects.project_number
    from erp.owner_invoices as invoices
    inner join link.erp_projects as projects on projects.erp_id = invoices.project_id and projects.pm_id is not null
    left anti join link.owner_invoices as links on links.erp_id = invoices.record_id
    where
        coalesce(invoices.approval_status, 'pending') not in ('void', 'rejected') and
        coalesce(invoices.kind, 'progress') <> 'retainage_release'

)

select
    'I10:' || missing.record_id as exception_key,
    missing.pm_id as project_id,
    missing.project_number,
    cast(null as varchar) as pm_id,
    missing.record_id as erp_id,
    coalesce(missing.number, missing.record_id) as label,
    'receivable ' || coalesce(missing.number, missing.record_id) || ' over ' || coalesce(cast(missing.net_amount as varchar), 'no amount') ||
        ' is in the ERP and not in PM' as detail,
    cast(null as varchar) as pm_value,
    cast(missing.net_amount as varchar) as erp_value,
    cast(abs(coalesce(missing.net_amount, missing.gross_amount)) as decimal(18,2)) as amount_at_risk,
    coalesce(missing.currency, setting_text('currency')) as currency,
    coalesce(missing.created_at, end_of_day(missing.billing_date)) as occurred_at,
    'unknown' as cause,
    cast(null as varchar) as explained_by,
    missing.number,
    missing.kind,
    missing.application_number,
    missing.billing_date,
    missing.approval_status,
    missing.net_amount
from missing
