-- title:    What PM vendors are used for
-- question: Which PM vendors stand on commitments and invoices, and with how much open money?
-- grain:    one row per PM vendor that a commitment or invoice names, void and rejected ones apart
-- columns:
--   vendor_id          PM's record id of the vendor
--   commitment_count   commitments that use it
--   invoice_count      invoices that use it
--   first_used_at      when the oldest of them was created, UTC
--   open_amount        open commitments (revised less invoiced) and unpaid invoices
--   currency           their currency, the first if there are several

with uses as (

    select
        vendor_id,
        1 as commitment_count,
        0 as invoice_count,
        created_at,
        currency,
        case
            when approval_status = 'closed' then 0
            else greatest(coalesce(revised_amount, original_amount, 0) - coalesce(invoiced_amount, 0), 0)
        end as open_amount
    from pm.commitments
    where coalesce(approval_status, 'pending') not in ('void', 'rejected')

    union all

    select
        vendor_id,
        0 as commitment_count,
        1 as invoice_count,
        created_at,
        currency,
        case when is_paid then 0 else coalesce(open_balance, net_amount - coalesce(paid_amount, 0), 0) end as open_amount
    from pm.vendor_invoices
    where coalesce(approval_status, 'pending') not in ('void', 'rejected')

)

select
    vendor_id,
    sum(commitment_count) as commitment_count,
    sum(invoice_count) as invoice_count,
    min(created_at) as first_used_at,
    cast(sum(open_amount) as decimal(18,2)) as open_amount,
    min(currency) as currency
from uses
where vendor_id is not null
group by vendor_id
