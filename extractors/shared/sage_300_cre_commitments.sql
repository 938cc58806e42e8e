-- title: Sage 300 CRE commitments
-- grain: one commitment; its number is unique in the data folder
-- A commitment that is posted is approved: before that it waits among entries that nobody copies. The items' amounts
-- hold approved commitment change orders and tax.

with items as (

    select
        upper(trim(commitment)) as commitment,
        sum(
            round_half_even(amount, 2) - coalesce(round_half_even(tax, 2), 0) -
                coalesce(round_half_even(approved_commitment_co_tax_amount, 2), 0)
        ) as amount
    from source.commitment_items
    group by upper(trim(commitment))

)

select
    upper(trim(commitments.commitment)) as record_id,
    case when commitments.date_stamp > date '1900-01-01' then end_of_day(commitments.date_stamp) end as updated_at,
    case
        when lower(commitments.commitment_type) like 'sub%' then 'subcontract'
        when lower(commitments.commitment_type) like 'p%' then 'purchase_order'
    end as kind,
    upper(trim(commitments.commitment)) as number,
    normalize_number(trim(commitments.commitment)) as number_key,
    nullif(upper(trim(commitments.job)), '') as project_id,
    nullif(upper(trim(commitments.vendor)), '') as vendor_id,
    nullif(trim(commitments.description), '') as title,
    case when commitments.closed then 'closed' else 'approved' end as approval_status,
    items.amount as revised_amount,
    commitments.amount_invoiced as invoiced_amount,
    commitments.currency
from source.commitments as commitments
left join items on upper(trim(commitments.commitment)) = items.commitment
