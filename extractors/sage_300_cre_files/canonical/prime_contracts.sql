-- title: Contracts of Sage 300 CRE's jobs
-- grain: one job that has a contract amount
-- Extras have totals of their own, which belong to the contract too.
--   contract 1,000.00, approved 50.00; extras approved 20.00 → approved changes 70.00, revised 1,070.00.

select
    upper(trim(job)) as record_id,
    upper(trim(job)) as number,
    upper(trim(job)) as project_id,
    nullif(upper(trim(ar_customer)), '') as customer_id,
    original_contract_amount as original_amount,
    jtd_aprvd_contract_chgs + coalesce(extras_jtd_aprvd_cntrc_chgs, 0) as approved_change_amount,
    coalesce(revised_contract_amount, original_contract_amount + jtd_aprvd_contract_chgs) + coalesce(extras_revised_contract_amt, 0)
        as revised_amount,
    coalesce(contract_retainage_percent, retainage_percent) as retainage_percent,
    currency
from source.jobs
where original_contract_amount is not null
