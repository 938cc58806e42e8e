-- title: ProjectSight job costs
-- grain: one item of a cost that the ERP sent
-- OriginID names the ERP's record, of the line or else of the whole.

select
    items.portfolio_id || '|' || items.project_id || '|J' || items.job_cost_id || '|' || items.job_cost_item_id as record_id,
    coalesce(nullif(trim(items.origin_id), ''), nullif(trim(costs.origin_id), '')) as linked_id,
    costs.when_created as created_at,
    costs.last_modified as updated_at,
    items.portfolio_id || '|' || items.project_id as project_id,
    coalesce(codes.cost_code, nullif(trim(items.bdgt_code), '')) as cost_code,
    codes.cost_type,
    coalesce(costs.actual_date, costs.month) as cost_date,
    items.amount,
    nullif(trim(costs.type), '') as document_type,
    coalesce(nullif(trim(costs.invoice_number), ''), nullif(trim(costs.number), '')) as document_id
from source.job_cost_items as items
inner join source.job_costs as costs on
    costs.portfolio_id = items.portfolio_id and costs.project_id = items.project_id and costs.job_cost_id = items.job_cost_id
left join shared.budget_codes as codes on
    codes.portfolio_id = items.portfolio_id and codes.project_id = items.project_id and codes.bdgt_code_id = items.bdgt_code_id
where not coalesce(items.deleted, false) and not coalesce(costs.deleted, false)
