-- title: Vista owner bills and receivables
-- grain: one owner bill, one receivable that comes from none, one release of retainage
-- statuses: A, I, C, D, N
-- A bill is a receivable once it is interfaced; its amounts are then those of the receivable, which is what is owed. Added ones (A) wait,
-- those to be deleted that never were one are void, and those that are never interfaced (N) are a record of past billing: drafts.
-- Lines of a receivable hold tax and retainage. Each line is applied to a transaction, its own or an earlier one: receipts are negative, and a
-- release of retainage lowers what is retained on the invoice that it is applied to.
--   1,000.00 of which 100.00 retained, receipt 900.00, release 100.00, receipt 100.00 → invoice: net and paid 900.00; release: gross 0.00,
--   retainage −100.00, net 100.00, paid 100.00.
-- Credits, write-offs and adjustments are documents of their own; what they take off an invoice is open no more, and not paid.

with jobs as (

    select jc_co, trim(contract) as contract, case when count(*) = 1 then min(trim(job))
        else min(case when normalize_number(trim(job)) = normalize_number(trim(contract)) then trim(job) end) end as job
    from source.jobs
    where nullif(trim(contract), '') is not null
    group by jc_co, trim(contract)

),

own as (

    select ar_co, mth, ar_trans, sum(amount) as amount, sum(coalesce(tax_amount, 0.00)) as tax_amount, sum(retainage) as retainage_amount,
        min(apply_mth) as apply_mth, min(apply_trans) as apply_trans, min(nullif(trim(contract), '')) as contract, min(jc_co) as jc_co
    from source.ar_lines
    group by ar_co, mth, ar_trans

),

applied as (

    select lines.ar_co, lines.apply_mth, lines.apply_trans, sum(lines.amount) - sum(lines.retainage) as open_amount,
        -sum(case when upper(trim(headers.ar_trans_type)) = 'P' then lines.amount + coalesce(lines.disc_taken, 0.00) else 0.00 end) as received,
        -sum(case when upper(trim(headers.ar_trans_type)) = 'R' then lines.retainage else 0.00 end) as released
    from source.ar_lines as lines
    inner join source.ar_transactions as headers on headers.ar_co = lines.ar_co and headers.mth = lines.mth and headers.ar_trans = lines.ar_trans
    group by lines.ar_co, lines.apply_mth, lines.apply_trans

),

receivables as (

    select
        headers.*, own.amount - own.tax_amount as gross_amount, own.tax_amount, own.retainage_amount, own.apply_mth, own.apply_trans,
        coalesce(nullif(trim(headers.contract), ''), own.contract) as told_contract, coalesce(headers.jc_co, own.jc_co) as told_co,
        upper(trim(headers.ar_trans_type)) as kind
    from source.ar_transactions as headers
    left join own on own.ar_co = headers.ar_co and own.mth = headers.mth and own.ar_trans = headers.ar_trans
    where upper(trim(headers.ar_trans_type)) not in ('P', 'M')

),

-- What was received beyond an invoice's own net is of its releases, the earliest first.
invoices as (

    select
        receivables.*, coalesce(applied.open_amount, 0.00) as applied_open, coalesce(applied.released, 0.00) as released,
        least(coalesce(applied.received, 0.00), greatest(receivables.gross_amount + receivables.tax_amount - receivables.retainage_amount, 0.00))
            as own_received,
        coalesce(applied.received, 0.00) as received
    from receivables
    left join applied on
        applied.ar_co = receivables.ar_co and applied.apply_mth = receivables.mth and applied.apply_trans = receivables.ar_trans
    where receivables.kind <> 'R'

),

releases as (

    select
        receivables.*, invoices.received - invoices.own_received as beyond,
        -sum(receivables.retainage_amount) over (
            partition by receivables.ar_co, receivables.apply_mth, receivables.apply_trans order by receivables.trans_date, receivables.key_id
        ) as released_so_far
    from receivables
    left join invoices on
        invoices.ar_co = receivables.ar_co and invoices.mth = receivables.apply_mth and invoices.ar_trans = receivables.apply_trans
    where receivables.kind = 'R'

),

told as (

    select ar_co, mth, ar_trans, key_id, kind, invoice, told_co, told_contract, trans_date, due_date, gross_amount, tax_amount, retainage_amount,
        case when released <> 0 then own_received else received end as paid_amount,
        applied_open - case when released <> 0 then released - (received - own_received) else 0.00 end as open_amount
    from invoices

    union all

    select ar_co, mth, ar_trans, key_id, kind, invoice, told_co, told_contract, trans_date, due_date, 0.00, 0.00, retainage_amount,
        least(greatest(coalesce(beyond, 0.00) - (released_so_far + retainage_amount), 0.00), -retainage_amount),
        -retainage_amount - least(greatest(coalesce(beyond, 0.00) - (released_so_far + retainage_amount), 0.00), -retainage_amount)
    from releases

),

documents as (

    select
        coalesce(concat('JB|', bills.key_id), '') as bill_id, coalesce(concat('AR|', told.key_id), '') as receivable_id, bills.key_id as bill_key,
        told.key_id as receivable_key, bills.inv_status, told.kind, coalesce(bills.invoice, told.invoice) as number,
        coalesce(told.told_co, bills.jb_co) as company, coalesce(told.told_contract, nullif(trim(bills.contract), '')) as contract,
        bills.application, bills.from_date, bills.to_date, coalesce(told.trans_date, bills.inv_date) as billing_date,
        coalesce(told.due_date, bills.due_date) as due_date, told.mth,
        coalesce(told.gross_amount, bills.inv_total) as gross_amount, coalesce(told.retainage_amount, bills.inv_retg - bills.retg_rel) as retainage_amount,
        coalesce(told.tax_amount, bills.inv_tax) as tax_amount, told.paid_amount, told.open_amount,
        bills.curr_contract, bills.prev_amt + bills.inv_total as completed,
        bills.prev_retg + bills.inv_retg - bills.prev_r_rel - bills.retg_rel as retained
    from source.owner_bills as bills
    left join source.jc_companies as companies on companies.jc_co = bills.jb_co
    full outer join told on
        told.ar_co = coalesce(companies.ar_co, bills.jb_co) and told.mth = bills.bill_month and told.ar_trans = bills.ar_trans

),

judged as (

    select documents.*,
        coalesce(firm_status('owner_bills', inv_status), case
            when receivable_key is not null and open_amount = 0 then 'closed'
            when receivable_key is not null then 'approved'
            when upper(trim(inv_status)) = 'D' then 'void'
            when upper(trim(inv_status)) = 'N' then 'draft'
            else 'pending'
        end) as approval_status
    from documents

)

select
    case when judged.bill_key is not null then concat('JB|', judged.bill_key) else concat('AR|', judged.receivable_key) end as record_id,
    case
        when judged.kind = 'R' then 'retainage_release'
        when judged.kind in ('C', 'W') or judged.gross_amount < 0 then 'credit'
        else 'progress'
    end as kind,
    trim(judged.number) as number,
    normalize_number(trim(judged.number)) as number_key,
    cast(judged.company as varchar) || '|' || jobs.job as project_id,
    cast(judged.company as varchar) || '|' || trim(judged.contract) as contract_id,
    judged.application as application_number,
    judged.from_date as period_start,
    judged.to_date as period_end,
    judged.billing_date,
    judged.due_date,
    judged.approval_status,
    to_char(judged.mth, '%Y-%m') as posted_period,
    judged.gross_amount,
    judged.retainage_amount,
    judged.tax_amount,
    judged.gross_amount - judged.retainage_amount as net_amount,
    judged.curr_contract as contract_sum_to_date,
    judged.completed as completed_and_stored,
    judged.retained as total_retainage,
    coalesce(judged.paid_amount, 0.00) as paid_amount,
    coalesce(judged.open_amount, 0.00) as open_balance
from judged
left join jobs on jobs.jc_co = judged.company and jobs.contract = trim(judged.contract)
