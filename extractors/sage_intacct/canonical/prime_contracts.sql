-- title: Sage Intacct project contracts
-- grain: one contract; a project may have several
-- statuses: active, inactive
-- Revisions are in the original sum: they correct it, and no change order stands behind them.

select
    trim(contracts.id) as record_id,
    contracts.created_date_time as created_at,
    contracts.modified_date_time as updated_at,
    coalesce(nullif(trim(contracts.external_reference), ''), trim(contracts.id)) as number,
    nullif(trim(contracts.project), '') as project_id,
    nullif(trim(contracts.customer), '') as customer_id,
    coalesce(firm_status('contracts', contracts.status), case
        when lower(trim(contracts.status)) = 'inactive' then 'closed'
        when lower(trim(contracts.status)) = 'active' then 'approved'
        else 'pending'
    end) as approval_status,
    contracts.original_price + coalesce(contracts.revision_price, cast(0 as decimal(24, 6))) as original_amount,
    contracts.approved_change_price as approved_change_amount,
    contracts.original_price + coalesce(contracts.revision_price, cast(0 as decimal(24, 6))) + coalesce(contracts.approved_change_price, cast(0 as decimal(24, 6))) as revised_amount,
    nullif(trim(projects.project_currency), '') as currency
from source.contracts as contracts
left join source.projects as projects on projects.id = contracts.project
