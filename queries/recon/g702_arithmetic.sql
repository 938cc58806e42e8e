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

with g703 as (

    select invoice_id, completed_and_stored as printed, retainage,
        coalesce(from_previous, 0) + coalesce(this_period, 0) + coalesce(materials_stored, 0) as expected
    from pm.owner_invoice_lines

),

-- A sum that lacks the amount of a line tests nothing.
sums as (

    select
        invoice_id,
        case when count(printed) = count(*) then sum(printed) end as completed,
        case when count(retainage) = count(*) then sum(retainage) end as retainage,
        sum(case when abs(printed - expected) > setting_decimal('amount_tolerance') then printed end) as wrong_printed,
        sum(case when abs(printed - expected) > setting_decimal('amount_tolerance') then expected end) as wrong_expected,
        sum(case when abs(printed - expected) > setting_decimal('amount_tolerance') then abs(printed - expected) end) as wrong_by
    from g703
    group by invoice_id

),

-- The application before: the highest lower number on the contract that was approved. The first one seen has none to test against.
earlier as (

    select invoices.record_id, previous.earned_less_retainage as earned,
        row_number() over (partition by invoices.record_id order by previous.application_number desc, previous.record_id desc) as position
    from pm.owner_invoices as invoices
    inner join pm.owner_invoices as previous on previous.contract_id = invoices.contract_id
    where previous.application_number < invoices.application_number and previous.approval_status in ('approved', 'closed')

),

-- A line that is not printed is null and tests nothing. Two wrong lines of the G703 may make up for each other; they are wrong all the
-- same. Line 8 may be printed with tax or without.
tested as (

    select invoices.*, tests.line,
        cast(case tests.line
            when '3' then contract_sum_to_date when '4' then completed_and_stored when 'G' then sums.wrong_printed
            when '5' then total_retainage when '5_lines' then total_retainage when '6' then earned_less_retainage
            when '7' then previous_certificates when '8' then current_payment_due when '9' then balance_to_finish
        end as decimal(18,2)) as printed,
        cast(case tests.line
            when '3' then original_contract_sum + change_order_sum
            when '4' then sums.completed
            when 'G' then wrong_expected - case when wrong_printed = wrong_expected then wrong_by else 0 end
            when '5' then retainage_work + retainage_materials when '5_lines' then sums.retainage
            when '6' then completed_and_stored - total_retainage
            when '7' then earlier.earned
            when '8' then earned_less_retainage - previous_certificates + case
                when abs(current_payment_due - earned_less_retainage + previous_certificates) > setting_decimal('amount_tolerance')
                    then coalesce(tax_amount, 0) else 0
            end
            when '9' then contract_sum_to_date - earned_less_retainage
        end as decimal(18,2)) as expected
    from pm.owner_invoices as invoices
    left join sums on sums.invoice_id = invoices.record_id
    left join earlier on earlier.record_id = invoices.record_id and earlier.position = 1
    cross join (values ('3'), ('4'), ('G'), ('5'), ('5_lines'), ('6'), ('7'), ('8'), ('9')) as tests (line)
    where coalesce(invoices.approval_status, 'pending') not in ('void', 'rejected', 'draft')

),

wrong as (

    select *, cast(printed - expected as decimal(18,2)) as difference,
        case line when '5_lines' then '5 against the G703' else line end as line_name
    from tested
    where abs(printed - expected) > setting_decimal('amount_tolerance')

),

-- One wrong total is wrong against all that is reckoned with it: by as much, up or down. Of several the first explains it.
reckoned as (

    select wrong.record_id, wrong.line, min(causes.line) as from_line
    from wrong
    inner join (
        values ('5_lines', '5', 1), ('6', '4', -1), ('6', '5', 1), ('6', '5_lines', 1), ('8', '6', -1), ('8', '7', 1),
            ('9', '3', -1), ('9', '6', 1)
    ) as reckonings (line, from_line, sign) on reckonings.line = wrong.line
    inner join wrong as causes on causes.record_id = wrong.record_id and causes.line = reckonings.from_line
    where causes.difference * reckonings.sign = wrong.difference
    group by wrong.record_id, wrong.line

)

select
    'I8:' || wrong.record_id || ':' || wrong.line as exception_key,
    wrong.project_id, projects.number as project_number, wrong.record_id as pm_id, cast(null as varchar) as erp_id,
    coalesce(wrong.number, wrong.record_id) || ' line ' || wrong.line_name as label,
    'line ' || wrong.line_name || ' of application ' || coalesce(wrong.number, wrong.record_id) || ' says ' ||
        cast(wrong.printed as varchar) || ' where ' || cast(wrong.expected as varchar) || ' follows' as detail,
    cast(wrong.printed as varchar) as pm_value, cast(null as varchar) as erp_value,
    abs(wrong.difference) as amount_at_risk, coalesce(wrong.currency, setting_text('currency')) as currency,
    coalesce(wrong.approved_at, wrong.updated_at, wrong.created_at) as occurred_at,
    'unknown' as cause, 'I8:' || reckoned.record_id || ':' || reckoned.from_line as explained_by,
    wrong.number, wrong.application_number, wrong.line, wrong.printed, wrong.expected, wrong.difference
from wrong
left join reckoned on reckoned.record_id = wrong.record_id and reckoned.line = wrong.line
left join pm.projects on projects.record_id = wrong.project_id
