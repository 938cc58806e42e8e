-- title:    Money on cost codes, on either side
-- question: How much is budgeted, committed and spent on each code of each project?
-- grain:    one row per side, project and code
-- columns:
--   side               pm or erp
--   project_id         that side's record id of the project
--   code_key           normalised code
--   code               code as written, one of them
--   budget_amount      revised cost budget
--   committed_amount   lines of living commitments; where PM tells no line of any subcontract, at least the budget's own sum
--   cost_amount        cost to date
--   amount             the largest of the three, without sign
--   currency           of the amounts

with told as (

    select coalesce(commitments.source, '') as source, count(*) as line_count
    from pm.commitment_lines as lines
    inner join pm.commitments on commitments.record_id = lines.commitment_id
    where commitments.kind = 'subcontract'
    group by coalesce(commitments.source, '')

),

lines as (

    select 'pm' as side, project_id, cost_code, revised_amount as budget, 0 as committed, 0 as cost,
        case when told.line_count is null then committed_amount else 0 end as committed_in_budget, currency
    from pm.budget_lines
    left join told on told.source = coalesce(budget_lines.source, '')
    where coalesce(budget_type, 'cost') = 'cost'

    union all

    select 'pm' as side, commitments.project_id, lines.cost_code, 0 as budget, lines.amount as committed, 0 as cost,
        0 as committed_in_budget, lines.currency
    from pm.commitment_lines as lines
    inner join pm.commitments on commitments.record_id = lines.commitment_id
    where coalesce(commitments.approval_status, 'pending') not in ('void', 'rejected')

    union all

    select 'erp' as side, project_id, cost_code, revised_amount as budget, 0 as committed, 0 as cost, 0 as committed_in_budget, currency
    from erp.budget_lines
    where coalesce(budget_type, 'cost') = 'cost'

    union all

    select 'erp' as side, commitments.project_id, lines.cost_code, 0 as budget, lines.amount as committed, 0 as cost,
        0 as committed_in_budget, lines.currency
    from erp.commitment_lines as lines
    inner join erp.commitments on commitments.record_id = lines.commitment_id
    where coalesce(commitments.approval_status, 'pending') not in ('void', 'rejected')

    union all

    select 'erp' as side, project_id, cost_code, 0 as budget, 0 as committed, amount as cost, 0 as committed_in_budget, currency
    from erp.job_costs

),

summed as (

    select
        side,
        project_id,
        normalize_number(cost_code) as code_key,
        min(cost_code) as code,
        sum(coalesce(budget, 0)) as budget_amount,
        case
            when sum(coalesce(committed_in_budget, 0)) > abs(sum(coalesce(committed, 0))) then sum(coalesce(committed_in_budget, 0))
            else sum(coalesce(committed, 0))
        end as committed_amount,
        sum(coalesce(cost, 0)) as cost_amount,
        min(currency) as currency
    from lines
    where project_id is not null and normalize_number(cost_code) is not null
    group by side, project_id, normalize_number(cost_code)

)

select
    side,
    project_id,
    code_key,
    code,
    cast(budget_amount as decimal(18,2)) as budget_amount,
    cast(committed_amount as decimal(18,2)) as committed_amount,
    cast(cost_amount as decimal(18,2)) as cost_amount,
    cast(greatest(abs(budget_amount), abs(committed_amount), abs(cost_amount)) as decimal(18,2)) as amount,
    currency
from summed
