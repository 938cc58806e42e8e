-- title:    What each year-end schedule stands on
-- question: Was everything that a schedule reads read completely, and of which project was it not?
-- grain:    one row per schedule, and per schedule and PM project with a gap
-- columns:
--   view_name          the schedule, without its schema
--   project_id         PM's record id of the project; null = the schedule as a whole
--   status             complete; partial (some project was not read); not_evaluated (not read, or too long ago); not_applicable (no system
--                      tells it)
--   reason             the first gap
--   project_count      projects with a gap, in the row of the whole

-- What a schedule cannot do without, and what it uses where a system tells it (`helps`): a firm without PM budgets still has a WIP schedule.
with needs (view_name, side, entity, use) as (

    values
        ('wip_schedule', 'erp', 'projects', 'needs'), ('wip_schedule', 'erp', 'job_costs', 'needs'),
        ('wip_schedule', 'erp', 'owner_invoices', 'needs'), ('wip_schedule', 'erp', 'prime_contracts', 'helps'),
        ('wip_schedule', 'erp', 'change_orders', 'helps'), ('wip_schedule', 'erp', 'budget_lines', 'helps'),
        ('wip_schedule', 'pm', 'prime_contracts', 'helps'), ('wip_schedule', 'pm', 'change_orders', 'helps'),
        ('wip_schedule', 'pm', 'budget_lines', 'helps'), ('wip_schedule', 'pm', 'vendor_invoices', 'helps'),
        ('wip_schedule', 'erp', 'vendor_invoices', 'helps'), ('wip_schedule', 'pm', 'projects', 'helps'),
        ('contract_balances', 'erp', 'projects', 'needs'), ('contract_balances', 'erp', 'job_costs', 'needs'),
        ('contract_balances', 'erp', 'owner_invoices', 'needs'), ('contract_balances', 'erp', 'payments', 'needs'),
        ('contract_balances', 'erp', 'payment_applications', 'needs'), ('contract_balances', 'erp', 'prime_contracts', 'helps'),
        ('contract_balances', 'erp', 'change_orders', 'helps'), ('contract_balances', 'erp', 'budget_lines', 'helps'),
        ('contract_balances', 'erp', 'vendor_invoices', 'helps'), ('contract_balances', 'pm', 'projects', 'helps'),
        ('contract_balances', 'pm', 'prime_contracts', 'helps'), ('contract_balances', 'pm', 'change_orders', 'helps'),
        ('contract_balances', 'pm', 'budget_lines', 'helps'), ('contract_balances', 'pm', 'vendor_invoices', 'helps'),
        ('billing_to_gl', 'erp', 'owner_invoices', 'needs'), ('billing_to_gl', 'erp', 'gl_transactions', 'needs'),
        ('billing_to_gl', 'erp', 'gl_accounts', 'needs'),
        ('ap_aging', 'erp', 'vendor_invoices', 'needs'), ('ap_aging', 'erp', 'payments', 'needs'),
        ('ap_aging', 'erp', 'payment_applications', 'needs'), ('ap_aging', 'erp', 'vendors', 'needs'),
        ('ar_aging', 'erp', 'owner_invoices', 'needs'), ('ar_aging', 'erp', 'payments', 'needs'),
        ('ar_aging', 'erp', 'payment_applications', 'needs'), ('ar_aging', 'erp', 'projects', 'needs'),
        ('control_tie_out', 'erp', 'vendor_invoices', 'needs'), ('control_tie_out', 'erp', 'owner_invoices', 'needs'),
        ('control_tie_out', 'erp', 'payments', 'needs'), ('control_tie_out', 'erp', 'payment_applications', 'needs'),
        ('control_tie_out', 'erp', 'gl_accounts', 'needs'), ('control_tie_out', 'erp', 'account_balances', 'needs'),
        ('control_tie_out', 'erp', 'gl_transactions', 'needs'), ('control_tie_out', 'erp', 'fiscal_periods', 'needs'),
        ('control_tie_out', 'erp', 'unposted_transactions', 'helps'),
        ('retainage_payable', 'erp', 'vendor_invoices', 'needs'), ('retainage_payable', 'pm', 'vendor_invoices', 'helps'),
        ('retainage_payable', 'pm', 'commitments', 'helps'), ('retainage_payable', 'erp', 'commitments', 'helps'),
        ('retainage_payable', 'pm', 'projects', 'helps'), ('retainage_receivable', 'pm', 'projects', 'helps'),
        ('retainage_receivable', 'erp', 'projects', 'needs'),
        ('retainage_receivable', 'erp', 'owner_invoices', 'needs'), ('retainage_receivable', 'pm', 'owner_invoices', 'helps'),
        ('open_commitments', 'pm', 'commitments', 'helps'), ('open_commitments', 'erp', 'commitments', 'needs'),
        ('open_commitments', 'pm', 'change_orders', 'helps'), ('open_commitments', 'erp', 'change_orders', 'helps'),
        ('open_commitments', 'erp', 'vendor_invoices', 'needs'), ('open_commitments', 'pm', 'vendor_invoices', 'helps'),
        ('open_commitments', 'pm', 'projects', 'helps'), ('open_commitments', 'erp', 'projects', 'helps'),
        ('change_order_log', 'pm', 'change_orders', 'needs'), ('change_order_log', 'erp', 'change_orders', 'needs'),
        ('change_order_log', 'pm', 'projects', 'helps'), ('change_order_log', 'erp', 'projects', 'helps'),
        ('change_order_log', 'pm', 'prime_contracts', 'helps'), ('change_order_log', 'pm', 'commitments', 'helps'),
        ('change_order_log', 'erp', 'commitments', 'helps'),
        ('subsequent_disbursements', 'erp', 'vendor_invoices', 'needs'), ('subsequent_disbursements', 'erp', 'payments', 'needs'),
        ('subsequent_disbursements', 'erp', 'payment_applications', 'needs'), ('subsequent_disbursements', 'pm', 'vendor_invoices', 'helps'),
        ('subsequent_disbursements', 'erp', 'fiscal_periods', 'helps'), ('subsequent_disbursements', 'pm', 'commitments', 'helps'),
        ('subsequent_disbursements', 'erp', 'commitments', 'helps'), ('subsequent_disbursements', 'pm', 'projects', 'helps'),
        ('form_1099', 'erp', 'payments', 'needs'), ('form_1099', 'erp', 'vendors', 'needs'),
        ('job_cost_to_gl', 'erp', 'job_costs', 'needs'), ('job_cost_to_gl', 'erp', 'gl_transactions', 'needs'),
        ('job_cost_to_gl', 'erp', 'gl_accounts', 'needs'),
        ('sequence_gaps', 'erp', 'vendor_invoices', 'needs'), ('sequence_gaps', 'erp', 'owner_invoices', 'needs'),
        ('sequence_gaps', 'erp', 'payments', 'needs'), ('sequence_gaps', 'pm', 'owner_invoices', 'helps'),
        ('sequence_gaps', 'pm', 'change_orders', 'helps'), ('sequence_gaps', 'erp', 'change_orders', 'helps'),
        ('late_changes', 'erp', 'gl_transactions', 'helps'), ('late_changes', 'erp', 'job_costs', 'helps'),
        ('late_changes', 'erp', 'vendor_invoices', 'needs'), ('late_changes', 'erp', 'owner_invoices', 'needs'),
        ('late_changes', 'erp', 'payments', 'helps'), ('late_changes', 'pm', 'vendor_invoices', 'helps'),
        ('late_changes', 'pm', 'owner_invoices', 'helps'), ('late_changes', 'pm', 'change_orders', 'helps'),
        ('late_changes', 'erp', 'change_orders', 'helps')

),

-- What has no reading at all was looked at by nobody: before the first snapshot there is none.
known as (

    select
        needs.view_name,
        readings.project_id,
        coalesce(readings.status, 'not_evaluated') as status,
        coalesce(readings.reason, case when readings.status is null then needs.side || '.' || needs.entity || ' was never read' end) as reason
    from needs
    left join meta.readings as readings on readings.side = needs.side and readings.entity = needs.entity
    where needs.use = 'needs' or (readings.status is distinct from 'not_applicable')

)

select
    view_name,
    cast(null as varchar) as project_id,
    case
        when count(case when project_id is null and status = 'not_applicable' then 1 end) > 0 then 'not_applicable'
        when count(case when project_id is null and status = 'not_evaluated' then 1 end) > 0 then 'not_evaluated'
        when count(project_id) > 0 then 'partial'
        else 'complete'
    end as status,
    coalesce(min(case when project_id is null then reason end), min(reason)) as reason,
    count(distinct project_id) as project_count
from known
group by view_name

union all

select view_name, project_id, 'not_evaluated' as status, min(reason) as reason, 1 as project_count
from known
where project_id is not null
group by view_name, project_id
