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

    select links.pm_id, min(commitments.vendor_id) as vendor_id
    from link.commitments as links
    inner join erp.commitments on commitments.record_id = links.erp_id
    group by links.pm_id

)

select
    'pm' as side,
    payments.record_id,
    named.record_id as stored_id,
    payments.number,
    coalesce(contracts.vendor_id, vendor_links.erp_id, customer_links.erp_id) as parent,
    payments.direction as kind,
    normalize_number(payments.number) as number_key,
    payments.record_id as place
from pm.payments
-- What the ERP pays on a commitment it pays to its own vendor of the commitment, whoever PM says it is with (M3).
left join contracts on payments.direction = 'disbursement' and contracts.pm_id = payments.contract_id
left join erp.payments as named on named.record_id = trim(payments.linked_id)
left join link.vendors as vendor_links on vendor_links.pm_id = payments.vendor_id
left join link.customers as customer_links on customer_links.pm_id = payments.customer_id

union all

select
    'erp' as side,
    record_id,
    linked_id as stored_id,
    number,
    coalesce(vendor_id, customer_id) as parent,
    direction as kind,
    normalize_number(number) as number_key,
    cast(null as varchar) as place
from erp.payments
