-- title:    Project transactions of the ERP and the PM record that each is
-- question: Which bill posted a cost, and which direct cost of PM names it?
-- grain:    one row per ERP project transaction of a linked project
-- columns:
--   project_id         PM's record id of the project; of several that are one ERP project the first
--   record_id          the ERP's record id of the transaction
--   cost_code          as the ERP writes it
--   cost_type          the ERP's cost type, where it is linked
--   is_default_code    whether it stands on a default code, or on none
--   stored_line        the id by which PM names the transaction itself
--   stored_document    the id by which PM names its bill or batch, where it names no line
--   bill_id            the bill that posted it
--   group_id           the bill's linked group
--   number_key         the bill's normalised number
--   is_committed       whether the bill belongs to a linked commitment
--   is_vendor_unlinked whether PM lacks the bill's vendor
--   dated              day of the cost
--   amount             without tax
--   currency           of the amount
--   moved_at           when the transaction last changed, UTC

with types as (

    select distinct erp_type, coalesce(erp_source, '') as erp_source from shared.linked_types

),

jobs as (

    select erp_id, pm_id from link.erp_projects where pm_id is not null

),

bills as materialized (

    select bills.record_id, min(coalesce(bills.source, '')) as source, min(own_key(bills.source, bills.record_id)) as key, min(links.group_id) as group_id, count(commitments.erp_id) > 0 as is_committed, min(bills.number_key) as number_key,
        count(bills.vendor_id) > 0 and count(vendors.erp_id) = 0 as is_vendor_unlinked
    from erp.vendor_invoices as bills
    left join link.vendor_invoices as links on links.erp_id = bills.record_id
    left join (select distinct erp_id from link.commitments) as commitments on commitments.erp_id = bills.commitment_id
    left join (select distinct erp_id from link.vendors) as vendors on vendors.erp_id = bills.vendor_id
    group by bills.record_id

),

named as (

    select distinct project_id, stored_id from link.direct_costs where stored_id is not null

)

-- A transaction names its bill by the bill's key, or by the type and number that the key is made of.
select
    jobs.pm_id as project_id,
    costs.record_id,
    costs.cost_code,
    types.erp_type as cost_type,
    coalesce(trim(costs.cost_code), '') = '' or
        regexp_like(regexp_replace(costs.cost_code, '[^A-Za-z0-9]', '', 'g'), '^0+$') or
        setting_list_contains('default_codes', costs.cost_code) as is_default_code,
    coalesce(by_key.stored_id, by_id.stored_id) as stored_line,
    case
        when by_key.stored_id is null and by_id.stored_id is null then coalesce(by_document.stored_id, by_typed_document.stored_id)
    end as stored_document,
    coalesce(bills.record_id, typed_bills.record_id) as bill_id,
    coalesce(bills.group_id, typed_bills.group_id) as group_id,
    coalesce(bills.number_key, typed_bills.number_key) as number_key,
    coalesce(bills.is_committed, typed_bills.is_committed, false) as is_committed,
    coalesce(bills.is_vendor_unlinked, typed_bills.is_vendor_unlinked, false) as is_vendor_unlinked,
    costs.cost_date as dated,
    costs.amount,
    costs.currency,
    coalesce(costs.updated_at, costs.created_at) as moved_at
from erp.job_costs as costs
inner join jobs on jobs.erp_id = costs.project_id
left join types on types.erp_type = costs.cost_type and types.erp_source = coalesce(costs.source, '')
left join named as by_id on by_id.project_id = jobs.pm_id and by_id.stored_id = own_key(costs.source, costs.record_id)
left join named as by_key on by_key.project_id = jobs.pm_id and by_key.stored_id = split_part(own_key(costs.source, costs.record_id), '|', -1)
left join named as by_document on by_document.project_id = jobs.pm_id and by_document.stored_id = costs.document_id
left join named as by_typed_document on
    by_typed_document.project_id = jobs.pm_id and
    by_typed_document.stored_id = costs.document_type || '|' || costs.document_id
left join bills on bills.key = costs.document_id and bills.source = coalesce(costs.source, '')
left join bills as typed_bills on
    typed_bills.key = costs.document_type || '|' || costs.document_id and typed_bills.source = coalesce(costs.source, '')
