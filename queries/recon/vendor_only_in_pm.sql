-- title:    Vendors in PM with no ERP vendor
-- check:    V1
-- entity:   vendors
-- scope:    firm
-- missing_on: erp
-- record_owner: erp
-- fix_side: pm
-- version:  2
-- risk:     the vendor's open commitments and unpaid invoices in PM
-- question: Which vendors does PM use, or has it lately created, that the ERP does not know?
-- grain:    one row per PM vendor
-- parameters: vendor_created_days = 90
-- fix:      Have accounting create the vendor, link it in PM; or merge it with the one that it repeats.
-- columns:
--   code               code as PM keeps it
--   name               name as written
--   is_active          active in PM
--   stored_erp_id      the ERP id that PM stores, if any: it points at nothing, or at more than one
--   commitment_count   commitments that use it, void and rejected ones apart
--   invoice_count      invoices that use it, void and rejected ones apart
--   reason             in_use or recently_created
--   created_by         who entered it, where PM tells

-- A Procore directory also holds architects and owners: one that is neither used nor new is only counted (V0), and a new one that
-- the ERP bills is an owner, no vendor.
with unlinked as (

    select
        vendors.record_id,
        vendors.code,
        vendors.name,
        vendors.is_active,
        vendors.linked_id,
        vendors.created_at,
        vendors.created_by,
        vendors.sync_status,
        vendors.sync_error,
        coalesce(vendor_use.commitment_count, 0) as commitment_count,
        coalesce(vendor_use.invoice_count, 0) as invoice_count,
        coalesce(vendors.created_at, vendor_use.first_used_at) as occurred_at,
        coalesce(vendor_use.open_amount, 0) as open_amount,
        coalesce(vendor_use.currency, setting_text('currency')) as currency,
        owners.name_key is not null as is_owner
    from pm.vendors
    left anti join link.vendors as links on links.pm_id = vendors.record_id
    left join link.vendor_use on vendor_use.vendor_id = vendors.record_id
    left join (select distinct name_key from erp.customers where name_key is not null) as owners on owners.name_key = vendors.name_key

)

select
    'V1:' || unlinked.record_id as exception_key,
    cast(null as varchar) as project_id,
    cast(null as varchar) as project_number,
    unlinked.record_id as pm_id,
    cast(null as varchar) as erp_id,
    coalesce(unlinked.name, unlinked.code, unlinked.record_id) as label,
    'vendor ' || coalesce(unlinked.name, unlinked.record_id) || ' is in PM (commitments: ' ||
        cast(unlinked.commitment_count as varchar) || ', invoices: ' || cast(unlinked.invoice_count as varchar) ||
        ') and not in the ERP' as detail,
    coalesce(unlinked.name, unlinked.record_id) as pm_value,
    cast(null as varchar) as erp_value,
    cast(unlinked.open_amount as decimal(18,2)) as amount_at_risk,
    unlinked.currency,
    unlinked.occurred_at,
    case
        when nullif(trim(unlinked.sync_error), '') is not null then 'failed with message'
        when lower(unlinked.sync_status) like '%reject%' then 'rejected by accounting'
        when nullif(trim(unlinked.linked_id), '') is not null then 'unknown'
        else 'entered on the wrong side'
    end as cause,
    cast(null as varchar) as explained_by,
    unlinked.code,
    unlinked.name,
    unlinked.is_active,
    unlinked.linked_id as stored_erp_id,
    unlinked.commitment_count,
    unlinked.invoice_count,
    case when unlinked.commitment_count + unlinked.invoice_count > 0 then 'in_use' else 'recently_created' end as reason,
    unlinked.created_by
from unlinked
cross join meta.clock
where
    unlinked.commitment_count + unlinked.invoice_count > 0 or
    not unlinked.is_owner and
    to_unixtime(clock.observed_at) - to_unixtime(unlinked.created_at) <= setting_integer('vendor_created_days') * 86400
