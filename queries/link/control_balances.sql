-- title:    Subledgers of the ERP and their control accounts
-- question: What do the ERP's documents, and its ledger, say of payables, receivables and retainage at the accounting date?
-- grain:    one row per control (ap, ar, retainage_payable, retainage_receivable)
-- columns:
--   control            ap, ar, retainage_payable or retainage_receivable
--   document_amount    open documents less payments that are not applied; retainage apart
--   document_count     documents behind it
--   ledger_amount      balance of the control accounts, positive as owed
--   account_count      control accounts

with applied as (

    select payments.direction, payments.payment_date, applications.amount
    from erp.payment_applications as applications
    inner join erp.payments on payments.record_id = applications.payment_id
    left join erp.vendor_invoices as bills on bills.record_id = applications.invoice_id
    left join erp.owner_invoices as invoices on invoices.record_id = applications.invoice_id
    cross join meta.clock
    where payments.status = 'paid' and coalesce(bills.invoice_date, invoices.billing_date, clock.accounting_date) <= clock.accounting_date

),

documents as (

    select 'ap' as control, net_amount + coalesce(tax_amount, 0) - coalesce(paid_amount, 0) as amount, invoice_date as dated
    from erp.vendor_invoices
    where approval_status in ('approved', 'closed')

    union all

    select 'ar' as control, net_amount + coalesce(tax_amount, 0) - coalesce(paid_amount, 0) as amount, billing_date as dated
    from erp.owner_invoices
    where approval_status in ('approved', 'closed')

    union all

    select 'retainage_payable' as control, retainage_amount as amount, invoice_date as dated
    from erp.vendor_invoices
    where approval_status in ('approved', 'closed')

    union all

    select 'retainage_receivable' as control, retainage_amount as amount, billing_date as dated
    from erp.owner_invoices
    where approval_status in ('approved', 'closed')

    union all

    select case direction when 'disbursement' then 'ap' else 'ar' end as control, -amount as amount, payment_date as dated
    from erp.payments
    where status = 'paid'

    union all

    -- What a payment settles is taken off its invoice already; one applied later, or to a later invoice, is still unapplied at the date.
    select case direction when 'disbursement' then 'ap' else 'ar' end as control, amount, payment_date as dated
    from applied

    union all

    -- A discount that a payment took settles its part of the invoice without money.
    select case payments.direction when 'disbursement' then 'ap' else 'ar' end as control, -applications.discount as amount,
        payments.payment_date as dated
    from erp.payment_applications as applications
    inner join erp.payments on payments.record_id = applications.payment_id
    where payments.status = 'paid' and applications.discount <> 0

    union all

    -- Paid after the accounting date: open at it.
    select case applied.direction when 'disbursement' then 'ap' else 'ar' end as control, applied.amount, cast(null as date) as dated
    from applied
    cross join meta.clock
    where applied.payment_date > clock.accounting_date

),

open_documents as (

    select documents.control, sum(coalesce(documents.amount, 0)) as amount, count(*) as document_count
    from documents
    cross join meta.clock
    where documents.dated is null or documents.dated <= clock.accounting_date
    group by documents.control

),

controls as (

    select
        account,
        case
            when control_of = 'ap' or setting_list_contains('ap_accounts', account) then 'ap'
            when control_of = 'ar' or setting_list_contains('ar_accounts', account) then 'ar'
            when control_of = 'retainage_payable' or setting_list_contains('retainage_payable_accounts', account) then 'retainage_payable'
            when control_of = 'retainage_receivable' or setting_list_contains('retainage_receivable_accounts', account)
                then 'retainage_receivable'
        end as control
    from erp.gl_accounts

),

-- The last period that has ended, and what was posted in later ones: a bill dated in June and posted in July is in no balance of June.
-- Budgets and statistics are ledgers of their own.
ended as (

    select max(periods.ends_on) as ends_on
    from erp.fiscal_periods as periods
    inner join (select distinct period from erp.account_balances) as balances on balances.period = periods.period
    cross join meta.clock
    where periods.ends_on <= clock.accounting_date

),

ledger as (

    -- Closing balances are debits less credits: what is owed to others stands there as a negative amount.
    select
        controls.control,
        case when controls.control in ('ap', 'retainage_payable') then -balances.closing else balances.closing end as amount
    from controls
    inner join erp.account_balances as balances on balances.account = controls.account
    inner join erp.fiscal_periods as periods on periods.period = balances.period
    inner join ended on ended.ends_on = periods.ends_on
    where controls.control is not null and lower(coalesce(balances.ledger, 'actual')) like '%actual%'

    union all

    select
        controls.control,
        case
            when controls.control in ('ap', 'retainage_payable') then coalesce(lines.credit, 0) - coalesce(lines.debit, 0)
            else coalesce(lines.debit, 0) - coalesce(lines.credit, 0)
        end as amount
    from controls
    inner join erp.gl_transactions as lines on lines.account = controls.account
    left join erp.fiscal_periods as periods on periods.period = lines.period
    cross join ended
    cross join meta.clock
    where
        controls.control is not null and
        (ended.ends_on is null or coalesce(periods.starts_on, lines.date) > ended.ends_on) and
        lines.date <= clock.accounting_date

),

posted as (

    select control, sum(coalesce(amount, 0)) as amount from ledger group by control

),

known as (

    select control, count(*) as account_count from controls where control is not null group by control

)

select
    known.control,
    cast(coalesce(open_documents.amount, 0) as decimal(18,2)) as document_amount,
    coalesce(open_documents.document_count, 0) as document_count,
    cast(coalesce(posted.amount, 0) as decimal(18,2)) as ledger_amount,
    known.account_count
from known
left join open_documents on open_documents.control = known.control
left join posted on posted.control = known.control
