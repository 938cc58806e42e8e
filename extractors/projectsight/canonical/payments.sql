-- title: ProjectSight days of payment as payments
-- grain: one invoice or application that has a day of payment
-- ProjectSight knows no payments, only the day on which an invoice was paid: taken as paid in full on that day. No check number, so that
-- a payment is known by its invoice alone.

with -- The firm itself stands on every contract, on either side; who stands there most often is the firm. Where that is a tie: it gives
-- subcontracts and takes prime contracts.
own_companies as (

    select portfolio_id, company_id
    from (
        select portfolio_id, company_id,
            row_number() over (partition by portfolio_id order by count(*) desc, sum(expected) desc, company_id) as place
        from (
            select portfolio_id, from_company_id as company_id, case when is_commit then 1 else 0 end as expected from source.contracts
            union all
            select portfolio_id, to_company_id as company_id, case when is_commit then 0 else 1 end as expected from source.contracts
        ) as sides
        where company_id is not null
        group by portfolio_id, company_id
    ) as ranked
    where place = 1

),
invoices as (

    select portfolio_id, project_id, 'I' || contract_invoice_id as id, 'C' || contract_id as contract, paid_date,
        coalesce(total_less_retainage - previous_total_less_retainage, current_due) as amount, from_company_id, to_company_id,
        'disbursement' as direction, when_created, last_modified
    from source.contract_invoices
    where not coalesce(deleted, false)

    union all

    select portfolio_id, project_id, 'G' || gen_inv_id as id, 'O' || po_id as contract, date_paid as paid_date,
        invoice_total as amount, from_company_id, to_company_id, 'disbursement' as direction, when_created, last_modified
    from source.general_invoices
    where not coalesce(deleted, false)

    union all

    select portfolio_id, project_id, 'A' || application_for_pay_id as id, 'C' || contract_id as contract, paid_date,
        current_due as amount, from_company_id, to_company_id, 'receipt' as direction, when_created, last_modified
    from source.applications_for_payment
    where not coalesce(deleted, false)

)

select
    invoices.portfolio_id || '|' || invoices.project_id || '|' || invoices.id || '|paid' as record_id,
    invoices.when_created as created_at,
    invoices.last_modified as updated_at,
    invoices.direction,
    invoices.paid_date as payment_date,
    invoices.amount,
    case when invoices.direction = 'disbursement' then invoices.portfolio_id || '|V' || case
        when own.company_id = invoices.from_company_id then invoices.to_company_id else invoices.from_company_id
    end end as vendor_id,
    case when invoices.direction = 'receipt' then invoices.portfolio_id || '|V' || case
        when own.company_id = invoices.to_company_id then invoices.from_company_id else invoices.to_company_id
    end end as customer_id,
    invoices.portfolio_id || '|' || invoices.project_id || '|' || invoices.contract as contract_id,
    'paid' as status
from invoices
left join own_companies as own on own.portfolio_id = invoices.portfolio_id
where invoices.paid_date is not null
