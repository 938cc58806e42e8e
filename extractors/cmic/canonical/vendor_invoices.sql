-- title: CMiC vouchers
-- grain: one voucher of a company; those of the demo company ZZ are none
-- A voucher is posted once it has a posting date; status codes are the firm's own ([status.<source>.vouchers]) and go before: a void is
-- known by its code alone. Posted with nothing outstanding is closed. What is not posted owes and pays nothing.
-- The invoice amount is before tax and whatever is held back; a release of holdback has none, and is worth what is open and paid of it.
--   amount 1,000.00, held back 100.00 → gross 1,000.00, retainage 100.00, net 900.00.
--   amount 0.00, outstanding 60.00, paid 40.00 → release: gross 0.00, retainage −100.00, net 100.00.
-- Nobody says whether the outstanding amount holds what is held back: where it is that much more than what is left of the net, it does,
-- and that part is taken off.
-- Payment dates, tax and the fiscal period are not told. Due dates are of what is open alone.

with listed as (

    select vou_comp_code, vou_num, vou_ven_code, vou_cont_code, vou_job_code, vou_inv_code, vou_status_code, vou_inv_date, vou_post_date,
        vou_inv_amt, vou_inv_outstand_amt, vou_paid_amt, vou_hldbk_amt, vou_hldbk_paid
    from source.vouchers

    union all

    select unposted.vou_comp_code, unposted.vou_num, unposted.vou_ven_code, unposted.vou_cont_code, unposted.vou_job_code,
        unposted.vou_inv_code, unposted.vou_status_code, unposted.vou_inv_date, cast(null as date) as vou_post_date,
        unposted.vou_inv_amt, unposted.vou_inv_outstand_amt, unposted.vou_paid_amt, unposted.vou_hldbk_amt, unposted.vou_hldbk_paid
    from source.unposted_vouchers as unposted
    left anti join source.vouchers on vouchers.vou_comp_code = unposted.vou_comp_code and vouchers.vou_num = unposted.vou_num

),

vouchers as (

    select
        *,
        coalesce(vou_hldbk_amt, 0) as held_amount,
        coalesce(vou_hldbk_amt, 0) - coalesce(vou_hldbk_paid, 0) as still_held_amount,
        vou_inv_amt = 0 and (
            coalesce(vou_hldbk_amt, 0) <> 0 or coalesce(vou_hldbk_paid, 0) <> 0 or
            coalesce(vou_inv_outstand_amt, 0) <> 0 or coalesce(vou_paid_amt, 0) <> 0
        ) as is_release,
        firm_status('vouchers', vou_status_code) as firm_status
    from listed
    where coalesce(upper(trim(vou_comp_code)), '') <> 'ZZ'

),

stated as (

    select
        *,
        coalesce(firm_status, case
            when vou_post_date is null then 'pending'
            when vou_inv_outstand_amt = 0 then 'closed'
            else 'approved'
        end) as approval_status,
        case
            when not is_release and still_held_amount <> 0 and
                vou_inv_outstand_amt = vou_inv_amt - held_amount - vou_paid_amt + still_held_amount
            then vou_inv_outstand_amt - still_held_amount
            else vou_inv_outstand_amt
        end as open_amount
    from vouchers

),

-- A voucher names its job; the project is the job that controls it (see projects.sql).
jobs as (

    select trim(grpmp_comp_code) as company, coalesce(nullif(trim(grpmp_job_code), ''), trim(grpmp_proj_code)) as job,
        min(nullif(trim(grpmp_proj_ctrl_code), '')) as control_job
    from source.projects
    group by 1, 2

),

due as (

    select trim(company_code) as company, invoice_voucher_num, min(due_date) as due_date
    from source.open_invoices
    group by 1, 2

)

select
    concat(trim(stated.vou_comp_code), '|', cast(stated.vou_num as varchar)) as record_id,
    case when is_release then 'retainage_release' when vou_inv_amt < 0 then 'credit' else 'progress' end as kind,
    coalesce(nullif(trim(vou_inv_code), ''), cast(stated.vou_num as varchar)) as number,
    normalize_number(nullif(trim(vou_inv_code), '')) as number_key,
    trim(vou_comp_code) || '|' || coalesce(jobs.control_job, nullif(trim(vou_job_code), '')) as project_id,
    nullif(trim(vou_ven_code), '') as vendor_id,
    trim(vou_comp_code) || '|' || trim(vou_ven_code) || '|' || nullif(trim(vou_cont_code), '') as commitment_id,
    vou_inv_date as invoice_date,
    due.due_date,
    stated.approval_status,
    vou_inv_amt as gross_amount,
    case when is_release then -(open_amount + vou_paid_amt) else held_amount end as retainage_amount,
    case when is_release then open_amount + vou_paid_amt else vou_inv_amt - held_amount end as net_amount,
    case when stated.approval_status in ('approved', 'closed') then vou_paid_amt else 0 end as paid_amount,
    case when stated.approval_status in ('approved', 'closed') then open_amount else 0 end as open_balance,
    nullif(trim(companies.comp_curr_code), '') as currency
from stated
left join due on trim(stated.vou_comp_code) = due.company and stated.vou_num = due.invoice_voucher_num
left join jobs on jobs.company = trim(stated.vou_comp_code) and jobs.job = trim(stated.vou_job_code)
left join source.companies as companies on trim(companies.comp_code) = trim(stated.vou_comp_code)
