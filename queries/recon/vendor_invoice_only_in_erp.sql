-- title:    ERP bills on synced commitments with no PM source
-- check:    I11
-- entity:   vendor_invoices
-- scope:    project
-- missing_on: pm
-- record_owner: pm
-- fix_side: erp
-- version:  1
-- risk:     the net amount of the bill, without its sign
-- question: What was billed on a commitment that PM runs, past PM?
-- grain:    one row per ERP document on a linked commitment; retainage releases excluded
-- grace:    24 hours
-- requires: pm.vendor_invoices, erp.vendor_invoices.commitment_id
-- fix:      Enter the pay application in PM, or move the bill off the commitment.
-- columns:
--   number             ERP's number (the supplier's)
--   kind               progress, credit or prepayment
--   vendor_id          ERP's record id of the vendor
--   commitment_id      ERP's record id of the commitment
--   invoice_date       date of the document
--   approval_status    its status in the ERP
--   net_amount         without retainage and tax

-- Bills outside commitments are the ERP's own and need no source.
with synced as (

    select distinct erp_id from link.commitments

),

missing as (

    select bills.*
    from erp.vendor_invoices as bills
    inner join synced on synced.erp_id = bills.commitment_id
    left anti join link.vendor_invoices as links on links.erp_id = bills.record_id
    where
        coalesce(bills.approval_status, 'pending') not in ('void', 'rejected') and
        coalesce(bills.kind, 'progress') <> 'retainage_release'

),

-- A bill that carries a linked bill's number and amount repeats it: I9's.
linked_bills as (

    select bills.vendor_id, bills.number_key, bills.commitment_id, bills.net_amount
    from erp.vendor_invoices as bills
    left semi join link.vendor_invoices as links on links.erp_id = bills.record_id
    group by bills.vendor_id, bills.number_key, bills.commitment_id, bills.net_amount

),

-- PM invoices under the number of a bill. Of several such bills nobody knows which is meant: R2's, which counts the money. One that
-- stores an id that names nothing is missing in the ERP: I2 counts its money.
unlinked as (

    select
        vendors.erp_id as vendor_id,
        invoices.number_key,
        contracts.erp_id as commitment_id,
        min(
            case
                when nullif(trim(invoices.linked_id), '') is null and coalesce(invoices.approval_status, 'pending') not in ('void', 'rejected')
                    then invoices.record_id
            end
        ) as ambiguous_id,
        min(
            case
                when nullif(trim(invoices.linked_id), '') is not null and invoices.approval_status in ('approved', 'closed')
                    then invoices.record_id
            end
        ) as strayed_id
    from pm.vendor_invoices as invoices
    inner join link.vendors as vendors on vendors.pm_id = invoices.vendor_id
    inner join link.commitments as contracts on contracts.pm_id = invoices.commitment_id
    left anti join link.vendor_invoices as links on links.pm_id = invoices.record_id
    group by vendors.erp_id, invoices.number_key, contracts.erp_id

)

select
    'I11:' || missing.record_id as exception_key,
    coalesce(projects.project_id, missing.project_id) as project_id,
    projects.project_number,
    cast(null as varchar) as pm_id,
    missing.record_id as erp_id,
    coalesce(missing.number, missing.record_id) as label,
    'bill ' || coalesce(missing.number, missing.record_id) || ' over ' || coalesce(cast(missing.net_amount as varchar), 'no amount') ||
        ' on commitment ' || missing.commitment_id || ' is in the ERP and not in PM' as detail,
    cast(null as varchar) as pm_value,
    cast(missing.net_amount as varchar) as erp_value,
    cast(abs(coalesce(missing.net_amount, missing.gross_amount)) as decimal(18,2)) as amount_at_risk,
    coalesce(missing.currency, setting_text('currency')) as currency,
    coalesce(missing.created_at, end_of_day(missing.invoice_date)) as occurred_at,
    'unknown' as cause,
    case
        when linked_bills.number_key is not null then 'I9:erp:vendor_invoice:' || missing.record_id
        when unlinked.strayed_id is not null then 'I2:' || unlinked.strayed_id
        when unlinked.ambiguous_id is not null then 'R2:vendor_invoices:pm:' || unlinked.ambiguous_id
    end as explained_by,
    missing.number,
    missing.kind,
    missing.vendor_id,
    missing.commitment_id,
    missing.invoice_date,
    missing.approval_status,
    missing.net_amount
from missing
left join link.erp_projects as projects on projects.erp_id = missing.project_id
left join linked_bills on
    linked_bills.vendor_id = missing.vendor_id and
    linked_bills.number_key = missing.number_key and
    linked_bills.commitment_id = missing.commitment_id and
    linked_bills.net_amount = missing.net_amount
left join unlinked on
    unlinked.vendor_id = missing.vendor_id and
    unlinked.number_key = missing.number_key and
    unlinked.commitment_id = missing.commitment_id
