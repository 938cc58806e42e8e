-- title: Acumatica project transactions
-- grain: one released cost line on a project
-- Income and liability groups are billings, not cost. A line without a cost code stays, with a null code: that is a finding.

with account_groups as (

    select trim(account_group_id) as account_group, lower(trim(type)) as type from source.account_groups

)

select
    concat(trim(lines.module), '|', trim(lines.reference_nbr), '|', cast(coalesce(lines.transaction_id, lines.position) as varchar)) as record_id,
    headers.created_date_time as created_at,
    headers.last_modified_date_time as updated_at,
    trim(lines.project) as project_id,
    nullif(trim(lines.cost_code), '') as cost_code,
    nullif(trim(lines.account_group), '') as cost_type,
    lines.date as cost_date,
    lines.amount,
    coalesce(nullif(trim(headers.original_doc_type), ''), trim(lines.module)) as document_type,
    coalesce(nullif(trim(headers.original_doc_nbr), ''), trim(lines.reference_nbr)) as document_id
from source.project_transaction_lines as lines
inner join source.project_transactions as headers on lines.module = headers.module and lines.reference_nbr = headers.reference_nbr
left join account_groups on trim(lines.account_group) = account_groups.account_group
where
    nullif(nullif(trim(lines.project), ''), 'X') is not null and
    coalesce(lines.released, lower(trim(headers.status)) = 'released', false) and
    coalesce(account_groups.type, '') not in ('income', 'liability')
