-- title: CMiC subcontracts
-- grain: one contract of a company with a vendor: the row with change code 000 and those with others
-- A contract or change is agreed once it is posted; its status codes are the firm's own ([status.<source>.contracts]) and go before.
--   000 over 1,000.00 posted, 001 over 50.00 posted, 002 over 70.00 not → original 1,000.00, changes 50.00, revised 1,050.00.
-- The connector sends purchase orders as subcontracts too, so the kind is not told. Purchase orders entered in CMiC have a list of their
-- own, whose attributes are not published. Invoiced is gross, of posted vouchers.

with rows as (

    select
        *,
        concat(trim(scmst_comp_code), '|', trim(scmst_ven_code), '|', trim(scmst_cont_code)) as record_id,
        trim(scmst_chg_code) as change_code,
        coalesce(firm_status('contracts', scmst_status_code), case
            when scmst_post_date is null then 'pending'
            when scmst_close_date is not null then 'closed'
            else 'approved'
        end) as approval_status
    from source.contracts
    where coalesce(upper(trim(scmst_comp_code)), '') <> 'ZZ'

),

changes as (

    select record_id, sum(scmst_cont_amt) as amount
    from rows
    where change_code <> '000' and scmst_post_date is not null and approval_status in ('approved', 'closed')
    group by record_id

),

billed as (

    select
        concat(trim(vou_comp_code), '|', trim(vou_ven_code), '|', trim(vou_cont_code)) as record_id,
        sum(vou_inv_amt) as invoiced_amount, sum(vou_paid_amt) as paid_amount
    from source.vouchers
    where
        vou_post_date is not null and
        coalesce(firm_status('vouchers', vou_status_code), 'approved') not in ('void', 'rejected')
    group by 1

)

select
    rows.record_id,
    rows.scmst_iu_create_date as created_at,
    coalesce(rows.scmst_iu_update_date, rows.scmst_iu_create_date) as updated_at,
    trim(rows.scmst_cont_code) as number,
    normalize_number(trim(rows.scmst_cont_code)) as number_key,
    trim(rows.scmst_comp_code) || '|' ||
        coalesce(nullif(trim(rows.scmst_job_ctrl_code), ''), nullif(trim(rows.scmst_job_code), '')) as project_id,
    trim(rows.scmst_ven_code) as vendor_id,
    coalesce(nullif(trim(rows.scmst_name), ''), nullif(trim(rows.scmst_desc), '')) as title,
    rows.approval_status,
    case when rows.approval_status in ('approved', 'closed') then rows.scmst_post_date end as approved_at,
    rows.scmst_executed_date as executed_on,
    rows.scmst_cont_amt as original_amount,
    coalesce(changes.amount, cast(0 as decimal(24, 6))) as approved_change_amount,
    rows.scmst_cont_amt + coalesce(changes.amount, cast(0 as decimal(24, 6))) as revised_amount,
    coalesce(billed.invoiced_amount, cast(0 as decimal(24, 6))) as invoiced_amount,
    coalesce(billed.paid_amount, cast(0 as decimal(24, 6))) as paid_amount,
    rows.scmst_hldbk_pc as retainage_percent,
    nullif(trim(rows.scmst_curr_code), '') as currency
from rows
left join changes on rows.record_id = changes.record_id
left join billed on rows.record_id = billed.record_id
where rows.change_code = '000'
