-- title: Procore subcontractor invoices (requisitions)
-- grain: one requisition on one commitment
-- statuses: draft, under_review, revise_and_resubmit, approved, approved_as_noted, pending_owner_approval
-- Gross of the period = completed and stored to date less that of the requisition before it: work, materials moved and the change in
-- stored materials at once. "Before it" is what Procore says, else the highest lower number that was approved.
--   requisition 2: 300.00 to date, previous_requisition_id = 1 with 120.00 to date → gross 180.00.
-- Where that is unknown (no summary, or the one before is not visible) what the subcontractor claimed stands in; never 0.
-- net = line 6 less line 7 of the summary; retainage = gross − net, negative where it is released.
-- Awaiting the owner is not yet approved: pending.
-- A blank invoice number shows as the requisition's number, but is no key: every subcontractor has a number 1.
-- Paid = payments that name the requisition. If the commitment has a payment that names none, a requisition without its own
-- payment is not known to be unpaid: null.
--   payment of 100.00 on commitment 9 without requisition → its requisitions 1 and 2 have paid_amount null.

with demo_projects as (

    select id from source.projects where is_demo

),

earlier as (

    select requisitions.id, previous.completed_and_stored,
        row_number() over (partition by requisitions.id order by previous.number desc, previous.id desc) as position
    from source.requisitions as requisitions
    inner join source.requisitions as previous
        on requisitions.commitment_id = previous.commitment_id and requisitions.number > previous.number
    where
        requisitions.previous_requisition_id is null and
        previous.status in ('approved', 'approved_as_noted', 'pending_owner_approval')

),

measured as (

    select requisitions.*,
        requisitions.earned_less_retainage - requisitions.previous_certificates as net_amount,
        coalesce(
            requisitions.completed_and_stored - case
                when requisitions.previous_requisition_id is not null then named.completed_and_stored
                when earlier.id is not null then earlier.completed_and_stored
                when coalesce(requisitions.previous_certificates = 0, requisitions.number = 1) then cast(0 as decimal(24, 6))
            end,
            requisitions.total_claimed_amount
        ) as gross_amount
    from source.requisitions as requisitions
    left join source.requisitions as named on requisitions.previous_requisition_id = named.id
    left join earlier on requisitions.id = earlier.id and earlier.position = 1

),

-- What of the period is stored material: there now and not before, whether or not it became work since.
stored as (

    select requisition_id,
        sum(materials_stored - coalesce(materials_stored_before, cast(0 as decimal(24, 6)))) as amount,
        sum(coalesce(materials_retained, materials_new_retained, cast(0 as decimal(24, 6)))) -
            sum(coalesce(materials_released, cast(0 as decimal(24, 6)))) as retainage_amount
    from source.requisition_items
    group by requisition_id

),

-- The same words for "paid" as in payments.sql.
paid as (

    select contract_id, requisition_id, amount, coalesce(date_payment_settled, end_of_day(date)) as paid_at
    from source.contract_payments
    where coalesce(lower(trim(status)), 'paid') in ('paid', 'settled', 'completed', 'cleared')

),

paid_by_requisition as (

    select requisition_id, sum(amount) as amount, max(paid_at) as paid_at
    from paid
    where requisition_id is not null
    group by requisition_id

)

select
    measured._key as record_id,
    nullif(trim(measured.origin_id), '') as linked_id,
    measured.created_at, measured.updated_at, measured.created_by,
    nullif(trim(measured.erp_status), '') as sync_status,
    case when measured.invoice_type = 'retainage_release' then 'retainage_release' else 'progress' end as kind,
    coalesce(nullif(trim(measured.invoice_number), ''), cast(measured.number as varchar)) as number,
    normalize_number(nullif(trim(measured.invoice_number), '')) as number_key,
    cast(measured.project_id as varchar) as project_id, cast(measured.vendor_id as varchar) as vendor_id,
    cast(measured.commitment_id as varchar) as commitment_id,
    measured.billing_date as invoice_date,
    measured.requisition_start as period_start, measured.requisition_end as period_end,
    coalesce(firm_status('requisitions', measured.status), case lower(trim(measured.status))
        when 'draft' then 'draft'
        when 'approved' then 'approved'
        when 'approved_as_noted' then 'approved'
        else 'pending'
    end) as approval_status,
    measured.gross_amount, measured.gross_amount - measured.net_amount as retainage_amount,
    measured.tax_applicable as tax_amount, measured.net_amount,
    stored.amount as stored_materials_amount, stored.retainage_amount as stored_materials_retainage_amount,
    case
        when paid_by_requisition.requisition_id is not null then paid_by_requisition.amount
        when unattributed.contract_id is null then cast(0 as decimal(24, 6))
    end as paid_amount,
    paid_by_requisition.paid_at,
    measured.currency_iso_code as currency
from measured
left join paid_by_requisition on measured.id = paid_by_requisition.requisition_id
left join stored on measured.id = stored.requisition_id
left join (select distinct contract_id from paid where requisition_id is null) as unattributed
    on measured.commitment_id = unattributed.contract_id
left anti join demo_projects on measured.project_id = demo_projects.id
