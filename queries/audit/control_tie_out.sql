-- title:    Agings and retainage against their control accounts
-- question: Do the schedules of payables, receivables and retainage come to what the general ledger holds at the date?
-- grain:    one row per connection and control (ap, ar, retainage_payable, retainage_receivable)
-- parameters: amount_tolerance = 0.01, [accounts]
-- columns:
--   pin                the pin that is read, or `not pinned`
--   accounting_date    the date of both
--   status             ties, differs, not_evaluated or not_applicable
--   reason             why it could not be said, or the batches that explain a difference
--   source             the ERP connection: each is held against its own ledger
--   control            what the accounts control
--   currency           of the ledger, and of all amounts
--   schedule_amount    audit.ap_aging, ar_aging, retainage_payable or retainage_receivable, all rows
--   ledger_amount      balance of the control accounts, positive as owed
--   difference         schedule less ledger; null where it could not be said
--   unposted_amount    on these accounts in batches that are not posted
--   manual_amount      journal lines on these accounts that name no document, by the date: as they change the ledger; null where no line names one
--   unexplained_amount difference less what is not posted, with the manual lines
--   account_count      control accounts; 0 = neither the ERP nor [accounts] names any
--   document_count     documents behind the schedule
-- sources:  trial balance of the last period that ended by the date, and journal lines posted since, by date (as T1 to T3). The ledger is kept
--           in one currency, its own, else the firm's: documents in another one cannot be held against it, and the control is not_evaluated.

with ground as (

    select status, reason from link.audit_grounds where view_name = 'control_tie_out' and project_id is null

),

kinds (control, ledger, is_retainage) as (

    values ('ap', 'ap', false), ('ar', 'ar', false), ('retainage_payable', 'ap', true), ('retainage_receivable', 'ar', true)

),

items as (

    select kinds.control, items.source, items.record_id, items.currency,
        case when kinds.is_retainage then items.retainage_amount else items.open_amount end as amount
    from kinds
    inner join shared.aged_items as items on items.ledger = kinds.ledger

),

ledgers as (

    select * from shared.control_ledgers

),

schedules as (

    select items.control, items.source, sum(items.amount) as amount, count(items.record_id) as document_count,
        count(case when items.currency <> coalesce(ledgers.currency, setting_text('currency')) then 1 end) as foreign_count
    from items
    left join ledgers on ledgers.control = items.control and ledgers.source = items.source
    where items.amount <> 0
    group by items.control, items.source

),

-- A line that names no document was entered past the subledger: it is in the ledger and on no schedule. Where no line of a connection names
-- one, nothing follows from that.
manual as (

    select lines.source, kinds.control, count(lines.document_id) as named_count,
        sum(case when lines.document_id is not null then 0 when kinds.ledger = 'ap' then coalesce(lines.credit, 0) - coalesce(lines.debit, 0)
            else coalesce(lines.debit, 0) - coalesce(lines.credit, 0) end) as amount
    from kinds
    inner join erp.gl_accounts as accounts on accounts.control_of = kinds.control or setting_list_contains('ap_accounts', accounts.account) and
        kinds.control = 'ap' or setting_list_contains('ar_accounts', accounts.account) and kinds.control = 'ar' or
        setting_list_contains('retainage_payable_accounts', accounts.account) and kinds.control = 'retainage_payable' or
        setting_list_contains('retainage_receivable_accounts', accounts.account) and kinds.control = 'retainage_receivable'
    inner join erp.gl_transactions as lines on lines.account = accounts.account and lines.source = accounts.source
    cross join meta.clock
    where lines.date <= clock.accounting_date
    group by lines.source, kinds.control

),

connections as (

    select source from items union select source from ledgers

),

held as (

    select
        kinds.control,
        connections.source,
        ledgers.currency,
        coalesce(schedules.amount, 0) as amount,
        coalesce(schedules.document_count, 0) as document_count,
        coalesce(schedules.foreign_count, 0) as foreign_count,
        case when manual.control is null then 0 when manual.named_count > 0 then manual.amount end as manual_amount,
        ledgers.ledger_amount,
        ledgers.unposted_amount,
        ledgers.unposted_batches,
        coalesce(ledgers.account_count, 0) as account_count,
        case
            when ground.status <> 'complete' then ground.status
            when ledgers.control is null then 'not_applicable'
            when schedules.foreign_count > 0 then 'not_evaluated'
            when abs(coalesce(schedules.amount, 0) - ledgers.ledger_amount) <= setting_decimal('amount_tolerance') then 'ties'
            else 'differs'
        end as status,
        ground.reason
    from kinds
    cross join ground
    left join connections on true
    left join schedules on schedules.control = kinds.control and schedules.source = connections.source
    left join ledgers on ledgers.control = kinds.control and ledgers.source = connections.source
    left join manual on manual.control = kinds.control and manual.source = connections.source

)

select
    coalesce(clock.pin, 'not pinned') as pin,
    clock.accounting_date,
    held.status,
    case
        when held.reason is not null then held.reason
        when held.account_count = 0 then 'neither the ERP nor [accounts] ' || held.control || ' says which accounts control it'
        when held.foreign_count > 0 then cast(held.foreign_count as varchar) || ' documents are in another currency than the ledger'
        when held.status = 'differs' then held.unposted_batches
    end as reason,
    held.source,
    held.control,
    held.currency,
    cast(held.amount as decimal(18,2)) as schedule_amount,
    cast(held.ledger_amount as decimal(18,2)) as ledger_amount,
    cast(case when held.status in ('ties', 'differs') then held.amount - held.ledger_amount end as decimal(18,2)) as difference,
    cast(held.unposted_amount as decimal(18,2)) as unposted_amount,
    cast(case when held.account_count > 0 then held.manual_amount end as decimal(18,2)) as manual_amount,
    cast(case when held.status in ('ties', 'differs') then held.amount - held.ledger_amount - held.unposted_amount + coalesce(held.manual_amount, 0) end
        as decimal(18,2))
        as unexplained_amount,
    held.account_count,
    held.document_count
from held
cross join meta.clock
