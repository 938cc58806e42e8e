-- title:    Open items by days past due at the accounting date
-- grain:    one row per open item of either ledger, and per item that retains something; what is retained is due to nobody yet

select
    items.*,
    case
        when items.due_date is null or items.due_date >= clock.accounting_date then 'current'
        when cast(clock.accounting_date as int) - cast(items.due_date as int) <= 30 then '1-30'
        when cast(clock.accounting_date as int) - cast(items.due_date as int) <= 60 then '31-60'
        when cast(clock.accounting_date as int) - cast(items.due_date as int) <= 90 then '61-90'
        else 'over 90'
    end as bucket
from (
    select 'ap' as ledger, source, record_id, kind, number, vendor_id as party_id, project_id, dated, due_date, currency, open_amount,
        retainage_amount, settled_after
    from link.payable_items
    union all
    select 'ar' as ledger, source, record_id, kind, number, customer_id as party_id, project_id, dated, due_date, currency, open_amount,
        retainage_amount, settled_after
    from link.receivable_items
) as items
cross join meta.clock
where items.open_amount <> 0 or items.retainage_amount <> 0
