-- title:    Linked vendors whose fields differ
-- check:    V3
-- entity:   vendors
-- scope:    firm
-- record_owner: erp
-- fix_side: pm
-- version:  2
-- risk:     the vendor's open commitments and unpaid invoices in PM, once per vendor
-- question: Where do the two systems describe one vendor differently?
-- grain:    one row per linked pair and field
-- fix:      The ERP owns vendors: correct PM, or correct the ERP and sync again.
-- columns:
--   field              the field that differs
--   name               the vendor's name in PM
--   erp_name           the vendor's name in the ERP
--   method             how the two were linked
--   comparison         differs, missing_in_pm or missing_in_erp

with different as (

    select
        differences.*,
        pm_side.name,
        erp_side.name as erp_name,
        row_number() over (partition by differences.pm_id order by differences.position, differences.erp_id) as turn
    from shared.party_differences as differences
    inner join pm.vendors as pm_side on pm_side.record_id = differences.pm_id
    inner join erp.vendors as erp_side on erp_side.record_id = differences.erp_id

)

select
    'V3:' || different.pm_id || ':' || different.erp_id || ':' || different.field as exception_key,
    cast(null as varchar) as project_id,
    cast(null as varchar) as project_number,
    different.pm_id,
    different.erp_id,
    coalesce(different.name, different.pm_id) || ' ' || different.field as label,
    different.field || ' of vendor ' || coalesce(different.name, different.pm_id) ||
        -- The hash of a tax identifier says nothing to a person.
        case
            when different.field = 'tax_id' then ' is not the same in PM and in the ERP'
            else
                ' is ' || coalesce(different.pm_value, 'not told') || ' in PM and ' ||
                coalesce(different.erp_value, 'not told') || ' in the ERP'
        end as detail,
    different.pm_value,
    different.erp_value,
    -- Three fields of one vendor do not risk its money three times: the first carries it.
    cast(case when different.turn = 1 then coalesce(vendor_use.open_amount, 0) else 0 end as decimal(18,2)) as amount_at_risk,
    coalesce(vendor_use.currency, setting_text('currency')) as currency,
    cast(null as timestamp with time zone) as occurred_at,
    'unknown' as cause,
    cast(null as varchar) as explained_by,
    different.field,
    different.name,
    different.erp_name,
    different.method,
    case
        when different.pm_key is null then 'missing_in_pm'
        when different.erp_key is null then 'missing_in_erp'
        else 'differs'
    end as comparison
from different
left join link.vendor_use on vendor_use.vendor_id = different.pm_id
