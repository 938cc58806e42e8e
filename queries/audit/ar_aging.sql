-- title:    Receivables by age
-- question: What did each owner owe the firm on each project at the date, how long past due, and what did the owner retain?
-- grain:    one row per connection, customer, project and currency; one without a customer where nothing is open
-- columns:
--   pin                the pin that is read, or `not pinned`
--   accounting_date    the date of the schedule
--   status             complete, not_evaluated or not_applicable: read it before the figures
--   reason             why it is not complete
--   source             the ERP connection: companies are not added up
--   customer_id        the ERP's record id of the customer
--   customer_name      its name
--   project_number     the number people use; null = no project, several, or a receipt that is not applied
--   currency           of the amounts
--   open_amount        all buckets: what the ledger's control accounts hold together (audit.control_tie_out)
--   current_amount     not due yet
--   days_1_30          1 to 30 days past due
--   days_31_60         31 to 60 days
--   days_61_90         61 to 90 days
--   over_90_days       older
--   unapplied_amount   receipts that were not applied, in their buckets too
--   retainage_amount   retained by the owner and not billed yet: not due, and on accounts of its own
--   received_since_amount received on these documents after the date, by the moment that is read
--   document_count     documents behind it
--   oldest_due_date    of what is open
-- sources:  the ERP's released invoices, memos and applications dated by the date (never a present balance): PBC lists ask for the aging at
--           the balance sheet date. Due: the invoice's own date, else its date and `default_terms_days`.

with ground as (

    select status, reason from link.audit_grounds where view_name = 'ar_aging' and project_id is null

),

aged as (

    select
        items.source,
        items.party_id,
        items.project_id,
        items.currency,
        sum(items.open_amount) as open_amount,
        sum(case when items.bucket = 'current' then items.open_amount else 0 end) as current_amount,
        sum(case when items.bucket = '1-30' then items.open_amount else 0 end) as days_1_30,
        sum(case when items.bucket = '31-60' then items.open_amount else 0 end) as days_31_60,
        sum(case when items.bucket = '61-90' then items.open_amount else 0 end) as days_61_90,
        sum(case when items.bucket = 'over 90' then items.open_amount else 0 end) as over_90_days,
        sum(case when items.kind = 'payment' then items.open_amount else 0 end) as unapplied_amount,
        sum(items.retainage_amount) as retainage_amount,
        sum(items.settled_after) as settled_after,
        count(*) as document_count,
        min(case when items.open_amount <> 0 then items.due_date end) as oldest_due_date
    from shared.aged_items as items
    where items.ledger = 'ar'
    group by items.source, items.party_id, items.project_id, items.currency
    having sum(abs(items.open_amount)) <> 0 or sum(items.retainage_amount) <> 0

)

select
    coalesce(clock.pin, 'not pinned') as pin,
    clock.accounting_date,
    ground.status,
    ground.reason,
    aged.source,
    aged.party_id as customer_id,
    customers.name as customer_name,
    coalesce(jobs.project_number, aged.project_id) as project_number,
    aged.currency,
    cast(aged.open_amount as decimal(18,2)) as open_amount,
    cast(aged.current_amount as decimal(18,2)) as current_amount,
    cast(aged.days_1_30 as decimal(18,2)) as days_1_30,
    cast(aged.days_31_60 as decimal(18,2)) as days_31_60,
    cast(aged.days_61_90 as decimal(18,2)) as days_61_90,
    cast(aged.over_90_days as decimal(18,2)) as over_90_days,
    cast(aged.unapplied_amount as decimal(18,2)) as unapplied_amount,
    cast(aged.retainage_amount as decimal(18,2)) as retainage_amount,
    cast(aged.settled_after as decimal(18,2)) as received_since_amount,
    aged.document_count,
    aged.oldest_due_date
from ground
cross join meta.clock
left join aged on true
left join erp.customers on customers.record_id = aged.party_id and customers.source = aged.source
left join link.erp_projects as jobs on jobs.erp_id = aged.project_id and jobs.source = aged.source
