-- title:    Payments linked across the two systems
-- question: Which PM contract payment is which ERP check or receipt, and how do we know?
-- grain:    one row per linked pair; rows that share group_id are compared as one
-- kind:     links
-- entity:   payments
-- columns:
--   group_id           what is compared as one: the smallest PM record_id of the group
--   pm_id              PM's record_id
--   erp_id             ERP's record_id
--   method             the first method that hit: crosswalk, explicit, number (check number within the vendor or customer)
--   score              worth of the method: 1.00 stored by somebody, less where concluded

-- Voided checks are linked too: whether PM still calls them paid is the question (P3). A connector may store the key of the payment on one
-- invoice (000015-000010), which is no payment's key: then the check number tells. One check that pays three invoices is three PM payments.
with contracts as (

    select links.pm_id, min(commitments.vendor_id) as vendor_id, min(commitments.source) as erp_source
    from link.commitments as links
    inner join erp.commitments on commitments.record_id = links.erp_id
    group by links.pm_id

),

-- The ERP connection of the invoices that a payment pays.
paid as (

    select applications.payment_id, min(jobs.erp_source) as erp_source
    from pm.payment_applications as applications
    inner join (
        select record_id, project_id from pm.vendor_invoices
        union all
        select record_id, project_id from pm.owner_invoices
    ) as invoices on invoices.record_id = applications.invoice_id
    inner join shared.pm_connections as jobs on jobs.pm_id = invoices.project_id
    group by applications.payment_id

),

companies as (

    select 'vendor' as kind, links.pm_id, links.erp_id, vendors.source as erp_source
    from link.vendors as links
    left join erp.vendors on vendors.record_id = links.erp_id
    union all
    select 'customer' as kind, links.pm_id, links.erp_id, customers.source as erp_source
    from link.customers as links
    left join erp.customers on customers.record_id = links.erp_id

)

select
    'pm' as side,
    payments.source,
    coalesce(contracts.erp_source, paid.erp_source, books_of(payments.source)) as partner_source,
    payments.record_id,
    case when named.key is not null then trim(payments.linked_id) end as stored_id,
    payments.number,
    coalesce(contracts.vendor_id, companies.erp_id) as parent,
    payments.direction as kind,
    normalize_number(payments.number) as number_key,
    payments.record_id as place
from pm.payments
-- What the ERP pays on a commitment it pays to its own vendor of the commitment, whoever PM says it is with (M3).
left join contracts on payments.direction = 'disbursement' and contracts.pm_id = payments.contract_id
left join paid on paid.payment_id = payments.record_id
left join (select distinct own_key(source, record_id) as key from erp.payments) as named on named.key = trim(payments.linked_id)
left join companies on
    companies.kind = case when payments.vendor_id is not null then 'vendor' else 'customer' end and
    companies.pm_id = coalesce(payments.vendor_id, payments.customer_id) and
    coalesce(coalesce(contracts.erp_source, paid.erp_source) = companies.erp_source, true)

union all

select
    'erp' as side,
    source,
    cast(null as varchar) as partner_source,
    record_id,
    linked_id as stored_id,
    number,
    coalesce(vendor_id, customer_id) as parent,
    direction as kind,
    normalize_number(number) as number_key,
    cast(null as varchar) as place
from erp.payments
