-- title: Vista invoices of vendors
-- grain: one posted AP transaction, what was paid of the retainage of one, or one invoice that waits for an approval
-- A line's gross holds its retainage. What is owed of it stands in parts, each with a pay type and a status (1 open, 2 held, 3 paid,
-- 4 cleared); retainage is a part of its own, by the company's pay type for it, or that of the line's pay category.
--   gross 1,000.00, retainage 100.00, tax 72.50 → parts 972.50 and 100.00 (held); net 900.00, tax 72.50, retainage 100.00.
-- Freight that is the vendor's counts as gross, use tax (type 2) and freight of others are none of this invoice.
-- The discount that is offered stands as taken from the start: it is, once the part is paid.
-- Retainage is set free by a transaction that takes it back, or by paying the part itself, whenever its hold was taken off: in the ledger it
-- leaves its own account then. Either is a release: gross 0.00, retainage −100.00, net 100.00.
-- A check over nothing sets credits against invoices: what it settles is not paid. A voided check leaves the parts open again.
-- Unapproved invoices owe nothing.

with retainage_types as (

    select ap_co, cast(null as bigint) as pay_category, ret_pay_type as pay_type from source.ap_companies where ret_pay_type is not null
    union
    select ap_co, pay_category, ret_pay_type from source.pay_categories where ret_pay_type is not null

),

nothing as (

    select ap_co, cm_co, cm_acct, pay_method, cm_ref, cm_ref_seq, eft_seq
    from source.ap_payments
    where amount = 0 and upper(trim(void_yn)) is distinct from 'Y'

),

parts as (

    select
        details.ap_co, details.mth, details.ap_trans, details.amount, details.disc_taken, details.paid_date, details.paid_mth, details.due_date,
        details.status in (3, 4) as is_settled, nothing.ap_co is not null as is_offset, types.pay_type is not null as is_retainage
    from source.ap_details as details
    left join (select distinct ap_co, pay_type from retainage_types) as types on types.ap_co = details.ap_co and types.pay_type = details.pay_type
    left join nothing on
        nothing.ap_co = details.ap_co and nothing.cm_co = details.cm_co and nothing.cm_acct = details.cm_acct and
        nothing.pay_method = details.pay_method and nothing.cm_ref = details.cm_ref and nothing.cm_ref_seq = details.cm_ref_seq and
        nothing.eft_seq = details.eft_seq

),

owed as (

    select ap_co, mth, ap_trans,
        sum(case when is_settled and not is_offset and not is_retainage then amount - disc_taken else 0.00 end) as paid_amount,
        sum(case when not is_settled and not is_retainage then amount else 0.00 end) as open_amount,
        max(case when is_settled and not is_offset then paid_date end) as paid_on,
        sum(case when is_settled and is_retainage then amount else 0.00 end) as released_amount,
        sum(case when is_settled and not is_offset and is_retainage then amount - disc_taken else 0.00 end) as released_paid_amount,
        max(case when is_settled and is_retainage then paid_date end) as released_on,
        max(case when is_settled and is_retainage then paid_mth end) as released_mth
    from parts
    group by ap_co, mth, ap_trans

),

all_lines as (

    select 'AP' as ledger, ap_co, mth, ap_trans as trans, jc_co, job, sl, po, gross_amt, misc_amt, misc_yn, tax_type, tax_amt, retainage
    from source.ap_lines

    union all

    select 'UI', ap_co, ui_mth, ui_seq, jc_co, job, sl, po, gross_amt, misc_amt, misc_yn, tax_type, tax_amt, retainage
    from source.unapproved_lines

),

lines as (

    select ledger, ap_co, mth, trans,
        sum(gross_amt + case when upper(trim(misc_yn)) = 'Y' then misc_amt else 0.00 end) as gross_amount,
        sum(case when tax_type = 2 then 0.00 else tax_amt end) as tax_amount,
        sum(retainage) as retainage_amount,
        min(concat(jc_co, '|', nullif(trim(job), ''))) as first_project, max(concat(jc_co, '|', nullif(trim(job), ''))) as last_project,
        min(coalesce('SL|' || ap_co || '|' || nullif(trim(sl), ''), 'PO|' || ap_co || '|' || nullif(trim(po), ''))) as first_order,
        max(coalesce('SL|' || ap_co || '|' || nullif(trim(sl), ''), 'PO|' || ap_co || '|' || nullif(trim(po), ''))) as last_order
    from (select *, nullif(trim(job), '') is not null as has_job from all_lines) as all_lines
    group by ledger, ap_co, mth, trans

),

documents as (

    select 'AP' as ledger, ap_co, mth, ap_trans as trans, key_id, vendor_group, vendor, ap_ref, inv_date, due_date from source.ap_transactions
    union all
    select 'UI', ap_co, ui_mth, ui_seq, key_id, vendor_group, vendor, ap_ref, inv_date, due_date from source.unapproved_invoices

),

told as (

    select
        documents.*, lines.gross_amount, lines.tax_amount, lines.retainage_amount,
        case when lines.first_project = lines.last_project and not ends_with(lines.first_project, '|') then lines.first_project end as project_id,
        case when lines.first_order = lines.last_order then lines.first_order end as commitment_id,
        owed.paid_amount, owed.open_amount, owed.paid_on, owed.released_amount, owed.released_paid_amount, owed.released_on, owed.released_mth
    from documents
    left join lines on
        lines.ledger = documents.ledger and lines.ap_co = documents.ap_co and lines.mth = documents.mth and lines.trans = documents.trans
    left join owed on
        documents.ledger = 'AP' and owed.ap_co = documents.ap_co and owed.mth = documents.mth and owed.ap_trans = documents.trans

)

select
    concat(ledger, '|', key_id) as record_id,
    case
        when gross_amount = 0 and retainage_amount < 0 then 'retainage_release'
        when gross_amount < 0 then 'credit'
        else 'progress'
    end as kind,
    coalesce(nullif(trim(ap_ref), ''), cast(trans as varchar)) as number,
    normalize_number(nullif(trim(ap_ref), '')) as number_key,
    project_id,
    concat(vendor_group, '|', vendor) as vendor_id,
    commitment_id,
    inv_date as invoice_date,
    due_date,
    case when ledger = 'UI' then 'pending' when coalesce(open_amount, 0.00) = 0 then 'closed' else 'approved' end as approval_status,
    case when ledger = 'AP' then to_char(mth, '%Y-%m') end as posted_period,
    coalesce(gross_amount, 0.00) as gross_amount,
    coalesce(retainage_amount, 0.00) as retainage_amount,
    coalesce(tax_amount, 0.00) as tax_amount,
    coalesce(gross_amount - retainage_amount, 0.00) as net_amount,
    coalesce(paid_amount, 0.00) as paid_amount,
    coalesce(open_amount, 0.00) as open_balance,
    end_of_day(paid_on) as paid_at
from told

union all

select
    concat('AP|', key_id, '|release') as record_id,
    'retainage_release' as kind,
    concat(coalesce(nullif(trim(ap_ref), ''), cast(trans as varchar)), ' retainage') as number,
    cast(null as varchar) as number_key,
    project_id,
    concat(vendor_group, '|', vendor) as vendor_id,
    commitment_id,
    released_on as invoice_date,
    released_on as due_date,
    'closed' as approval_status,
    to_char(released_mth, '%Y-%m') as posted_period,
    0.00 as gross_amount,
    -released_amount as retainage_amount,
    0.00 as tax_amount,
    released_amount as net_amount,
    released_paid_amount as paid_amount,
    0.00 as open_balance,
    end_of_day(released_on) as paid_at
from told
where coalesce(released_amount, 0.00) <> 0
