-- title: Items of Sage 300 CRE's commitments
-- grain: one item

select
    concat(upper(trim(commitment)), '|', trim(item_number)) as record_id,
    upper(trim(commitment)) as commitment_id,
    try_cast(regexp_replace(trim(item_number), '\.0+$', '') as bigint) as line_number,
    nullif(trim(cost_code), '') as cost_code,
    nullif(upper(trim(category)), '') as cost_type,
    nullif(trim(description), '') as description,
    round_half_even(amount, 2) - coalesce(round_half_even(tax, 2), 0) -
        coalesce(round_half_even(approved_commitment_co_tax_amount, 2), 0) as amount,
    currency
from source.commitment_items
