-- title:    What ERP vendors are used for on synced projects
-- question: Which ERP vendors stand on commitments and bills of linked projects, and with how much open money?
-- grain:    one row per ERP vendor
-- columns:
--   vendor_id          ERP's record id of the vendor
--   commitment_count   commitments that name it
--   invoice_count      bills that name it
--   first_used_at      when the first of them was entered or dated, UTC
--   open_amount        unpaid bills
--   committed_amount   commitments that are not closed
--   currency           of the amounts

with synced as (

    select distinct erp_id from link.projects

),

uses as (

    select
        commitments.vendor_id,
        1 as commitment_count,
        0 as invoice_count,
        coalesce(commitments.created_at, commitments.updated_at) as used_at,
        0 as open_amount,
        case
            when commitments.approval_status = 'closed' then 0
            else coalesce(commitments.revised_amount, commitments.original_amount, 0)
        end as committed_amount,
        commitments.currency
    from erp.commitments
    inner join synced on synced.erp_id = commitments.project_id
    where coalesce(commitments.approval_status, 'pending') not in ('void', 'rejected')

    union all

    select
        vendor_invoices.vendor_id,
        0 as commitment_count,
        1 as invoice_count,
        coalesce(vendor_invoices.created_at, end_of_day(vendor_invoices.invoice_date)) as used_at,
        coalesce(vendor_invoices.open_balance, vendor_invoices.net_amount - coalesce(vendor_invoices.paid_amount, 0), 0) as open_amount,
        0 as committed_amount,
        vendor_invoices.currency
    from erp.vendor_invoices
    inner join synced on synced.erp_id = vendor_invoices.project_id
    where coalesce(vendor_invoices.approval_status, 'pending') not in ('void', 'rejected')

)

select
    vendor_id,
    sum(commitment_count) as commitment_count,
    sum(invoice_count) as invoice_count,
    min(used_at) as first_used_at,
    cast(sum(open_amount) as decimal(18,2)) as open_amount,
    cast(sum(committed_amount) as decimal(18,2)) as committed_amount,
    min(currency) as currency
from uses
where vendor_id is not null
group by vendor_id
