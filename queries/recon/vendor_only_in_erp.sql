-- title:    ERP vendors used on synced projects, absent from PM
-- check:    V2
-- entity:   vendors
-- scope:    firm
-- missing_on: pm
-- record_owner: erp
-- fix_side: erp
-- version:  1
-- risk:     the vendor's open commitments and unpaid bills on synced projects in the ERP
-- question: Which vendors does the ERP use on projects that PM runs, and PM does not know?
-- grain:    one row per ERP vendor
-- grace:    24 hours
-- requires: erp.vendors, erp.commitments.vendor_id, erp.vendor_invoices.vendor_id
-- fix:      Send the vendor to PM by the connector, or link it to the company that PM has already.
-- columns:
--   code               the ERP's vendor code
--   name               name as written
--   commitment_count   ERP commitments on synced projects that name it
--   invoice_count      ERP bills on synced projects that name it
--   first_used_at      the first of them

-- An inactive vendor with history is no longer anybody's counterpart; one whose flag is not told counts as active.
with missing as (

    select
        vendors.*,
        vendor_use.commitment_count,
        vendor_use.invoice_count,
        vendor_use.first_used_at,
        vendor_use.open_amount + vendor_use.committed_amount as open_amount,
        vendor_use.currency
    from erp.vendors as vendors
    inner join link.erp_vendor_use as vendor_use on vendor_use.vendor_id = vendors.record_id
    left anti join link.vendors as links on links.erp_id = vendors.record_id
    where coalesce(vendors.is_active, true)

)

select
    'V2:' || missing.record_id as exception_key,
    cast(null as varchar) as project_id,
    cast(null as varchar) as project_number,
    cast(null as varchar) as pm_id,
    missing.record_id as erp_id,
    coalesce(missing.name, missing.code, missing.record_id) as label,
    'vendor ' || coalesce(missing.name, missing.record_id) || ' is used on synced projects in the ERP (commitments: ' ||
        cast(missing.commitment_count as varchar) || ', bills: ' || cast(missing.invoice_count as varchar) ||
        ') and not in PM' as detail,
    cast(null as varchar) as pm_value,
    coalesce(missing.name, missing.record_id) as erp_value,
    cast(missing.open_amount as decimal(18,2)) as amount_at_risk,
    coalesce(missing.currency, setting_text('currency')) as currency,
    coalesce(missing.created_at, missing.first_used_at) as occurred_at,
    case when nullif(trim(missing.sync_error), '') is not null then 'failed with message' else 'unknown' end as cause,
    cast(null as varchar) as explained_by,
    missing.code,
    missing.name,
    missing.commitment_count,
    missing.invoice_count,
    missing.first_used_at
from missing
