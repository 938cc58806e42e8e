-- title: Procore lines of payment applications (G703)
-- grain: one G703 line
-- The columns are as printed: completed_and_stored (G) is not added up here, so that a check can.
-- `origin_id` of a line is Procore's own key, so there is no linked_id.

with demo_projects as (

    select id from source.projects where is_demo

)

select
    lines._key as record_id,
    applications.created_at,
    applications.updated_at,
    applications._key as invoice_id,
    nullif(trim(lines.item_number), '') as item_number,
    coalesce(
        nullif(trim(lines.cost_code), ''),
        nullif(split_part(lines.flat_code, '.', -2), '')
    ) as cost_code,
    lines.scheduled_value,
    lines.from_previous,
    lines.this_period,
    lines.materials_stored,
    lines.completed_and_stored,
    try_cast(replace(lines.percent_complete, '%', '') as decimal(9, 6)) as percent_complete,
    lines.balance_to_finish,
    lines.retainage,
    applications.currency_iso_code as currency
from source.payment_application_lines as lines
inner join source.payment_applications as applications on lines.payment_application_id = applications.id
left anti join demo_projects on applications.project_id = demo_projects.id
