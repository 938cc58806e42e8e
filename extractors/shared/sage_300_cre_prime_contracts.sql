-- title: Contracts of Sage 300 CRE's jobs
-- grain: one job that has a contract amount
-- Extras have totals of their own, which belong to the contract too.
--   contract 1,000.00, approved 50.00; extras approved 20.00 → approved changes 70.00, revised 1,070.00.

with rounded as (

    select
        upper(trim(job)) as job, nullif(upper(trim(ar_customer)), '') as customer,
        round_half_even(original_contract_amount, 2) as original, round_half_even(jtd_aprvd_contract_chgs, 2) as changes,
        round_half_even(revised_contract_amount, 2) as revised,
        coalesce(round_half_even(extras_jtd_aprvd_cntrc_chgs, 2), 0) as extra_changes,
        coalesce(round_half_even(extras_revised_contract_amt, 2), 0) as extras_revised,
        coalesce(contract_retainage_percent, retainage_percent) as retainage_percent, currency
    from source.jobs
    where original_contract_amount is not null

)

select
    job as record_id,
    job as number,
    job as project_id,
    customer as customer_id,
    original as original_amount,
    changes + extra_changes as approved_change_amount,
    coalesce(revised, original + changes) + extras_revised as revised_amount,
    retainage_percent,
    currency
from rounded
