-- title:    Applications for payment whose G702 does not add up
-- check:    I8
-- entity:   owner_invoices
-- scope:    project
-- record_owner: pm
-- fix_side: pm
-- version:  2
-- risk:     the difference without its sign
-- question: Which printed lines of an application contradict each other, its G703 or the application before it?
-- grain:    one row per PM owner invoice and line of the G702 that does not add up
-- parameters: amount_tolerance = 0.01
-- requires: pm.owner_invoices.completed_and_stored
-- fix:      Recalculate the application in PM and issue it again.
-- columns:
--   number             the number people use
--   application_number number of the application on its contract
--   line               3, 4, 5, 5_lines, 6, 7, 8, 9, or G: a G703 line whose G is not D + E + F
--   printed            as printed
--   expected           as the other lines give it
--   difference         printed less expected

with lines as (

    select
        invoice_id,
        count(*) as line_count,
        sum(completed_and_stored) as completed_and_stored,
        count(completed_and_stored) as completed_count,
        sum(retainage) as retainage,
        count(retainage) as retainage_count,
        sum(
            case
                when abs(
                    completed_and_stored - coalesce(from_previous, 0) - coalesce(this_period, 0) - coalesce(materials_stored, 0)
                ) > setting_decimal('amount_tolerance') then completed_and_stored
                else 0
            end
        ) as wrong_printed,
        sum(
            case
                when abs(
                    completed_and_stored - coalesce(from_previous, 0) - coalesce(this_period, 0) - coalesce(materials_stored, 0)
                ) > setting_decimal('amount_tolerance')
                    then coalesce(from_previous, 0) + coalesce(this_period, 0) + coalesce(materials_stored, 0)
                else 0
            end
        ) as wrong_expected,
        sum(
            case
                when abs(completed_and_stored - coalesce(from_previous, 0) - coalesce(this_period, 0) - coalesce(materials_stored, 0)) > setting_decimal('amount_tolerance')
                    then abs(completed_and_stored - coalesce(from_previous, 0) - coalesce(this_period, 0) - coalesce(materials_stored, 0))
                else 0
            end
        ) as wrong_by
    from pm.owner_invoice_lines
    group by invoice_id

),

-- The application before: the highest lower number on the contract that was approved. The first one seen has none to test against.
earlier as (

    select
        invoices.record_id,
        previous.earned_less_retainage,
        row_number() over (partition by invoices.record_id order by previous.application_number desc, previous.record_id desc) as position
    from pm.owner_invoices as invoices
    inner join pm.owner_invoices as previous on
        previous.contract_id = invoices.contract_id and
        previous.application_number < invoices.application_number
    where previous.approval_status in ('approved', 'closed')

),

printed as (

    select
        invoices.*,
        lines.completed_and_stored as lines_completed,
        lines.completed_count = lines.line_count as has_completed,
        lines.retainage as lines_retainage,
        lines.retainage_count = lines.line_count as has_retainage,
        lines.wrong_printed,
        -- Two wrong lines may make up for each other; they are wrong all the same.
        case when lines.wrong_printed = lines.wrong_expected then lines.wrong_expected - lines.wrong_by else lines.wrong_expected end
            as wrong_expected,
        earlier.earned_less_retainage as earlier_earned
    from pm.owner_invoices as invoices
    left join lines on lines.invoice_id = invoices.record_id
    left join earlier on earlier.record_id = invoices.record_id and earlier.position = 1
    where coalesce(invoices.approval_status, 'pending') not in ('void', 'rejected', 'draft')

),

-- A line that is not printed is null and tests nothing. Line 8 may be printed with tax or without.
tested as (

    select
        printed.*,
        tests.line,
        tests.position,
        case tests.line
            when '3' then contract_sum_to_date
            when '4' then completed_and_stored
            when 'G' then wrong_printed
            when '5' then total_retainage
            when '5_lines' then total_retainage
            when '6' then earned_less_retainage
            when '7' then previous_certificates
            when '8' then current_payment_due
            when '9' then balance_to_finish
        end as shown,
        case tests.line
            when '3' then original_contract_sum + change_order_sum
            when '4' then case when has_completed then lines_completed end
            when 'G' then wrong_expected
            when '5' then retainage_work + retainage_materials
            when '5_lines' then case when has_retainage then lines_retainage end
            when '6' then completed_and_stored - total_retainage
            when '7' then earlier_earned
            when '8' then
                case
                    when abs(current_payment_due - earned_less_retainage + previous_certificates) <= setting_decimal('amount_tolerance')
                        then current_payment_due
                    else earned_less_retainage - previous_certificates + coalesce(tax_amount, 0)
                end
            when '9' then contract_sum_to_date - earned_less_retainage
        end as expected
    from printed
    cross join (
        values (1, '3'), (2, '4'), (3, 'G'), (4, '5'), (5, '5_lines'), (6, '6'), (7, '7'), (8, '8'), (9, '9')
    ) as tests (position, line)

),

wrong as (

    select
        record_id,
        line,
        case line when '5_lines' then '5 against the G703' else line end as line_name,
        position,
        shown - expected as difference
    from tested
    where abs(shown - expected) > setting_decimal('amount_tolerance')

),

-- One wrong total is wrong against all that is reckoned with it: by as much, up or down.
reckoned as (

    select wrong.record_id, wrong.line, min(causes.position) as position
    from wrong
    inner join (
        values ('5_lines', '5', 1), ('6', '4', -1), ('6', '5', 1), ('6', '5_lines', 1), ('8', '6', -1), ('8', '7', 1), ('9', '3', -1), ('9', '6', 1)
    ) as reckonings (line, from_line, sign) on reckonings.line = wrong.line
    inner join wrong as causes on
        causes.record_id = wrong.record_id and
        causes.line = reckonings.from_line and
        causes.difference * reckonings.sign = wrong.difference
    group by wrong.record_id, wrong.line

)

select
    'I8:' || tested.record_id || ':' || wrong.line as exception_key,
    tested.project_id,
    projects.number as project_number,
    tested.record_id as pm_id,
    cast(null as varchar) as erp_id,
    coalesce(tested.number, tested.record_id) || ' line ' || wrong.line_name as label,
    'line ' || wrong.line_name || ' of application ' || coalesce(tested.number, tested.record_id) || ' says ' || cast(tested.shown as varchar) ||
        ' where ' || cast(tested.expected as varchar) || ' follows' as detail,
    cast(tested.shown as varchar) as pm_value,
    cast(null as varchar) as erp_value,
    cast(abs(wrong.difference) as decimal(18,2)) as amount_at_risk,
    coalesce(tested.currency, setting_text('currency')) as currency,
    coalesce(tested.approved_at, tested.updated_at, tested.created_at) as occurred_at,
    'unknown' as cause,
    'I8:' || causes.record_id || ':' || causes.line as explained_by,
    tested.number,
    tested.application_number,
    wrong.line,
    cast(tested.shown as decimal(18,2)) as printed,
    cast(tested.expected as decimal(18,2)) as expected,
    cast(wrong.difference as decimal(18,2)) as difference
from wrong
inner join tested on tested.record_id = wrong.record_id and tested.line = wrong.line
left join reckoned on reckoned.record_id = wrong.record_id and reckoned.line = wrong.line
left join wrong as causes on causes.record_id = reckoned.record_id and causes.position = reckoned.position
left join pm.projects on projects.record_id = tested.project_id
