-- title: ProjectSight applications for payment
-- grain: one application to the owner that is not deleted
-- statuses: Draft, New, In Preparation, Pending, Pending Approval, Pending Owner Approval, Open, Submitted, Sent, Issued, In Review,
-- statuses: Under Review, Revise and Resubmit, In Progress, On Hold, Awaiting Approval, Out for Signature, Approved, Approved as Noted,
-- statuses: Approved with Comments, Executed, Fully Executed, Signed, Paid, Rejected, Declined, Denied, Disapproved, Not Approved, Void,
-- statuses: Voided, Cancelled, Canceled, Withdrawn, Superseded, Closed, Complete, Completed, Final, Finalized, Terminated, No Charge
-- This period: gross is what the items bill (work, material installed, the change in stored material); net = line 6 less line 7.
-- Lines as printed. Line 9 is left out where it is printed without the retainage, and 5a and 5b where they are percents.
-- No paid amount, only its day: paid or not.

with item_sums as (

    select portfolio_id, project_id, application_for_pay_id,
        sum(
            coalesce(work_this_invoice_value, 0) + coalesce(mat_install_this_invoice_value, 0) +
            coalesce(stored_material_value, 0) - coalesce(prev_stored_material_value, 0)
        ) as gross_amount,
        max(general_retain_percent) as retain_percent
    from source.application_for_payment_items
    where not coalesce(deleted, false)
    group by portfolio_id, project_id, application_for_pay_id

),

decided as (

    select applications.*, sums.gross_amount,
        applications.total_less_retainage - applications.previous_total_less_retainage as net_amount,
        case
            when applications.work_comp_retainage = sums.retain_percent and (applications.mat_stored_retainage = sums.retain_percent
                or applications.mat_stored_retainage = 0) and applications.total_retainage is distinct from applications.work_comp_retainage
                then true
            else false
        end as has_percents,
        coalesce(firm_status('applications_for_payment', applications.status), case
            when applications.word in ('void', 'voided', 'cancelled', 'canceled', 'withdrawn', 'superseded') then 'void'
            when applications.word in ('rejected', 'declined', 'denied', 'disapproved', 'not approved') then 'rejected'
            when applications.word in ('closed', 'complete', 'completed', 'final', 'finalized', 'terminated', 'no charge') then 'closed'
            when applications.word in ('draft', 'new', 'in preparation') then 'draft'
            when applications.word in ('approved', 'approved as noted', 'approved with comments', 'executed', 'fully executed', 'signed', 'paid')
                then 'approved'
            else 'pending'
        end) as approval_status
    from (select *, lower(trim(status)) as word from source.applications_for_payment) as applications
    left join item_sums as sums on
        sums.portfolio_id = applications.portfolio_id and sums.project_id = applications.project_id and
        sums.application_for_pay_id = applications.application_for_pay_id
    where not coalesce(applications.deleted, false)

)

select
    portfolio_id || '|' || project_id || '|A' || application_for_pay_id as record_id,
    when_created as created_at, last_modified as updated_at, created_by,
    'progress' as kind,
    coalesce(nullif(trim(application_number), ''), cast(sequence as varchar)) as number,
    normalize_number(coalesce(nullif(trim(application_number), ''), cast(sequence as varchar))) as number_key,
    portfolio_id || '|' || project_id as project_id,
    portfolio_id || '|' || project_id || '|C' || contract_id as contract_id,
    coalesce(sequence, try_cast(application_number as bigint)) as application_number,
    application_date as billing_date,
    approval_status,
    case when approval_status = 'approved' then end_of_day(approved_date) end as approved_at,
    gross_amount,
    gross_amount - net_amount as retainage_amount,
    net_amount,
    original_contract_value as original_contract_sum,
    changes_to_date as change_order_sum,
    revised_contract_value as contract_sum_to_date,
    total_completed as completed_and_stored,
    case when not has_percents then work_comp_retainage end as retainage_work,
    case when not has_percents then mat_stored_retainage end as retainage_materials,
    total_retainage,
    total_less_retainage as earned_less_retainage,
    previous_total_less_retainage as previous_certificates,
    current_due as current_payment_due,
    case
        when total_retainage = 0 or balance_to_invoice is distinct from (revised_contract_value - total_completed) then balance_to_invoice
    end as balance_to_finish,
    paid_date is not null as is_paid
from decided
