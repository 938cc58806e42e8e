-- title: ProjectSight items of applications for payment (G703)
-- grain: one G703 line that is not deleted
-- The columns are as printed: completed_and_stored (G) is not added up here, so that a check can. Items name no budget code.

select
    items.portfolio_id || '|' || items.project_id || '|A' || items.application_for_pay_id || '|' || items.app_for_pay_item_id as record_id,
    applications.when_created as created_at,
    applications.last_modified as updated_at,
    items.portfolio_id || '|' || items.project_id || '|A' || items.application_for_pay_id as invoice_id,
    nullif(trim(items.item_number), '') as item_number,
    items.scheduled_value,
    items.prev_work_mat_install_value as from_previous,
    items.work_this_invoice_value + coalesce(items.mat_install_this_invoice_value, 0) as this_period,
    items.stored_material_value as materials_stored,
    items.total_complete_value as completed_and_stored,
    items.percent_complete,
    items.balance_to_complete_value as balance_to_finish,
    items.total_retain_value as retainage
from source.application_for_payment_items as items
inner join source.applications_for_payment as applications on
    applications.portfolio_id = items.portfolio_id and applications.project_id = items.project_id and
    applications.application_for_pay_id = items.application_for_pay_id
where not coalesce(items.deleted, false) and not coalesce(applications.deleted, false)
