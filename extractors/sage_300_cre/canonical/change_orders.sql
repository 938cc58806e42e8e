-- title: Commitment change orders of Sage 300 CRE
-- grain: one change order of a commitment
-- kinds: commitment
-- Which columns hold amount and status is not known: that a change order is there is all that is told.

select
    concat(upper(trim(changes.commitment)), '|', upper(trim(changes.commitment_co))) as record_id,
    'commitment' as kind,
    upper(trim(changes.commitment_co)) as number,
    normalize_number(trim(changes.commitment_co)) as number_key,
    nullif(upper(trim(commitments.job)), '') as project_id,
    upper(trim(changes.commitment)) as contract_id
from source.commitment_changes as changes
left join source.commitments as commitments on upper(trim(commitments.commitment)) = upper(trim(changes.commitment))
