-- title: Procore payment applications
-- grain: one application for payment to the owner
-- statuses: draft, under_review, revise_and_resubmit, approved
-- This period: gross as Procore adds it up, else completed and stored less that of the last approved application before it.
--   application 2: 300.00 to date, application 1 (approved): 120.00 to date → gross 180.00.
-- The first application has nothing before it; one that says it was preceded, by an application we do not see, has no gross.
-- net = line 6 less line 7, never line 8: line 8 may hold tax. retainage = gross − net, negative where it is released.
-- No G702, no net: a null is not 0.

with demo_projects as (

    select id from source.projects where is_demo

),

earlier as (

    select applications.id, previous.completed_and_stored,
        row_number() over (partition by applications.id order by previous.number desc, previous.id desc) as position
    from source.payment_applications as applications
    inner join source.payment_applications as previous
        on applications.contract_id = previous.contract_id and applications.number > previous.number
    where previous.status = 'approved'

),

measured as (

    select applications.*,
        applications.earned_less_retainage - applications.previous_certificates as net_amount,
        coalesce(
            applications.total_amount_accrued_this_period,
            case
                when earlier.id is not null then applications.completed_and_stored - earlier.completed_and_stored
                when applications.previous_certificates = 0 or (applications.previous_certificates is null and applications.number = 1)
                    then applications.completed_and_stored
            end
        ) as gross_amount
    from source.payment_applications as applications
    left join earlier on applications.id = earlier.id and earlier.position = 1

)

select
    measured._key as record_id,
    nullif(trim(measured.origin_id), '') as linked_id,
    measured.created_at,
    measured.updated_at,
    'progress' as kind,
    coalesce(nullif(trim(measured.invoice_number), ''), cast(measured.number as varchar)) as number,
    normalize_number(coalesce(nullif(trim(measured.invoice_number), ''), cast(measured.number as varchar))) as number_key,
    cast(measured.project_id as varchar) as project_id,
    cast(measured.contract_id as varchar) as contract_id,
    measured.number as application_number,
    coalesce(measured.period_start, measured.billing_period_start) as period_start,
    coalesce(measured.period_end, measured.billing_period_end) as period_end,
    measured.billing_date,
    coalesce(firm_status('payment_applications', measured.status), case lower(trim(measured.status))
        when 'draft' then 'draft'
        when 'approved' then 'approved'
        else 'pending'
    end) as approval_status,
    measured.gross_amount,
    measured.gross_amount - measured.net_amount as retainage_amount,
    measured.tax_applicable as tax_amount,
    measured.net_amount,
    measured.original_contract_sum,
    measured.net_change_by_change_orders as change_order_sum,
    measured.contract_sum_to_date,
    measured.completed_and_stored,
    measured.retainage_work,
    measured.retainage_materials,
    measured.total_retainage,
    measured.earned_less_retainage,
    measured.previous_certificates,
    measured.current_payment_due,
    measured.balance_to_finish,
    measured.total_amount_paid as paid_amount,
    measured.currency_iso_code as currency
from measured
left anti join demo_projects on measured.project_id = demo_projects.id
