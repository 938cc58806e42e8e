-- title:    Who owns which data
-- question: Which side is right, where is it entered, which way does it flow, and who approves it?
-- grain:    one row per entity and field; field * = every field that has no row of its own
-- columns:
--   entity             entity of the canonical model
--   field              its column, or *
--   record_owner       the side that is right: pm, erp, or hybrid where the fields decide
--   system_of_action   the side where people enter it
--   direction          pm_to_erp, erp_to_pm, both or none
--   synced_when        what sends it
--   approvals_by       the side whose approval counts; null = none

select
    entity,
    field,
    record_owner,
    system_of_action,
    direction,
    synced_when,
    approvals_by
from (
    values
        ('vendors', '*', 'erp', 'pm', 'erp_to_pm', 'create or update', 'erp'),
        ('customers', '*', 'erp', 'pm', 'erp_to_pm', 'create or update', 'erp'),
        ('projects', '*', 'hybrid', 'pm', 'both', 'create or update', cast(null as varchar)),
        ('projects', 'number', 'pm', 'pm', 'pm_to_erp', 'create or update', cast(null as varchar)),
        ('projects', 'name', 'pm', 'pm', 'pm_to_erp', 'create or update', cast(null as varchar)),
        ('projects', 'project_manager', 'pm', 'pm', 'pm_to_erp', 'create or update', cast(null as varchar)),
        ('projects', 'start_date', 'pm', 'pm', 'pm_to_erp', 'create or update', cast(null as varchar)),
        ('projects', 'completion_date', 'pm', 'pm', 'pm_to_erp', 'create or update', cast(null as varchar)),
        ('projects', 'approval_status', 'pm', 'pm', 'pm_to_erp', 'create or update', cast(null as varchar)),
        ('projects', 'gl_segment', 'erp', 'pm', 'erp_to_pm', 'create or update', cast(null as varchar)),
        ('projects', 'entity_code', 'erp', 'pm', 'erp_to_pm', 'create or update', cast(null as varchar)),
        ('projects', 'customer_id', 'erp', 'pm', 'erp_to_pm', 'create or update', cast(null as varchar)),
        ('budget_lines', '*', 'pm', 'pm', 'pm_to_erp', 'baseline and change order approval', 'pm'),
        ('commitments', '*', 'pm', 'pm', 'pm_to_erp', 'approval', 'pm'),
        ('commitment_lines', '*', 'pm', 'pm', 'pm_to_erp', 'approval', 'pm'),
        ('change_orders', '*', 'pm', 'pm', 'pm_to_erp', 'prime: owner approval; commitment: its approval', 'pm'),
        ('change_order_lines', '*', 'pm', 'pm', 'pm_to_erp', 'prime: owner approval; commitment: its approval', 'pm'),
        ('owner_invoices', '*', 'pm', 'pm', 'pm_to_erp', 'internal approval', 'pm'),
        ('owner_invoice_lines', '*', 'pm', 'pm', 'pm_to_erp', 'internal approval', 'pm'),
        ('vendor_invoices', '*', 'pm', 'pm', 'pm_to_erp', 'internal approval', 'pm'),
        ('vendor_invoice_lines', '*', 'pm', 'pm', 'pm_to_erp', 'internal approval', 'pm'),
        ('owner_invoices', 'paid_amount', 'erp', 'erp', 'erp_to_pm', 'nightly', 'erp'),
        ('owner_invoices', 'open_balance', 'erp', 'erp', 'erp_to_pm', 'nightly', 'erp'),
        ('vendor_invoices', 'paid_amount', 'erp', 'erp', 'erp_to_pm', 'nightly', 'erp'),
        ('vendor_invoices', 'open_balance', 'erp', 'erp', 'erp_to_pm', 'nightly', 'erp'),
        ('vendor_invoices', 'paid_at', 'erp', 'erp', 'erp_to_pm', 'nightly', 'erp'),
        ('vendor_invoices_outside_commitments', '*', 'erp', 'erp', 'none', cast(null as varchar), 'erp'),
        ('payments', '*', 'erp', 'erp', 'erp_to_pm', 'nightly or on demand', 'erp'),
        ('payment_applications', '*', 'erp', 'erp', 'erp_to_pm', 'nightly or on demand', 'erp'),
        ('job_costs', '*', 'erp', 'erp', 'erp_to_pm', 'nightly or on demand', 'erp'),
        ('account_balances', '*', 'erp', 'erp', 'erp_to_pm', 'nightly', cast(null as varchar))
) as ownership (entity, field, record_owner, system_of_action, direction, synced_when, approvals_by)
