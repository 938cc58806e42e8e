-- title: ProjectSight invoices of subcontractors and suppliers
-- grain: one pay application on a contract, or general invoice, that is not deleted
-- statuses: Draft, New, In Preparation, Pending, Pending Approval, Pending Owner Approval, Open, Submitted, Sent, Issued, In Review,
-- statuses: Under Review, Revise and Resubmit, In Progress, On Hold, Awaiting Approval, Out for Signature, Approved, Approved as Noted,
-- statuses: Approved with Comments, Executed, Fully Executed, Signed, Paid, Rejected, Declined, Denied, Disapproved, Not Approved, Void,
-- statuses: Voided, Cancelled, Canceled, Withdrawn, Superseded, Closed, Complete, Completed, Final, Finalized, Terminated, No Charge
-- Gross of the period is what its items bill: work, material installed, and the change in stored material. No items, no gross.
--   work 100.00, installed 20.00, stored 30.00 after 50.00 → 100.00.
-- Net = to date less retainage, less that of before; retainage = gross − net, negative where it is released.
-- No field tells a paid amount, only the day: `is_paid`; payments.sql takes the whole. Partial payments cannot be seen here.
-- A pay application has no field for tax, a general invoice has.
-- A blank number shows as the sequence on the contract, but is no key. What is negative may be a credit in the ERP: its kind is not told.

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

item_sums as (

    select portfolio_id, project_id, contract_invoice_id,
        sum(
            coalesce(work_this_invoice_value, 0) + coalesce(mat_install_this_invoice_value, 0) +
            coalesce(stored_material_value, 0) - coalesce(prev_stored_material_value, 0)
        ) as gross_amount,
        sum(coalesce(stored_material_value, 0) - coalesce(prev_stored_material_value, 0)) as stored_amount
    from source.contract_invoice_items
    where not coalesce(deleted, false)
    group by portfolio_id, project_id, contract_invoice_id

),

general_sums as (

    select portfolio_id, project_id, gen_inv_id, sum(subtotal) as amount
    from source.general_invoice_items
    where not coalesce(deleted, false)
    group by portfolio_id, project_id, gen_inv_id

),

invoices as (

    select invoices.portfolio_id, invoices.project_id, 'I' || invoices.contract_invoice_id as id, 'C' || invoices.contract_id as contract,
        invoices.when_created, invoices.last_modified, invoices.created_by, invoices.invoice_number, invoices.sequence,
        invoices.from_company_id, invoices.to_company_id, firm_status('contract_invoices', invoices.status) as firm_status,
        lower(trim(invoices.status)) as word, invoices.is_approved_for_budget, invoices.invoice_date, invoices.due_date,
        invoices.approved_date, invoices.paid_date, sums.gross_amount,
        coalesce(invoices.total_less_retainage - invoices.previous_total_less_retainage, invoices.current_due) as net_amount,
        cast(null as decimal(24, 2)) as tax_amount, false as has_tax, sums.stored_amount
    from source.contract_invoices as invoices
    left join item_sums as sums on
        sums.portfolio_id = invoices.portfolio_id and sums.project_id = invoices.project_id and
        sums.contract_invoice_id = invoices.contract_invoice_id
    where not coalesce(invoices.deleted, false)

    union all

    select invoices.portfolio_id, invoices.project_id, 'G' || invoices.gen_inv_id as id, 'O' || invoices.po_id as contract,
        invoices.when_created, invoices.last_modified, invoices.created_by, invoices.invoice_number, cast(null as bigint) as sequence,
        invoices.from_company_id, invoices.to_company_id, firm_status('general_invoices', invoices.status) as firm_status,
        lower(trim(invoices.status)) as word, invoices.is_approved_for_budget, invoices.invoice_date, invoices.due_date,
        cast(null as date) as approved_date, invoices.date_paid as paid_date,
        coalesce(
            sums.amount - case when invoices.is_items_incl_tax then coalesce(invoices.tax_total, 0) else 0 end,
            invoices.invoice_total - coalesce(invoices.tax_total, 0)
        ) as gross_amount,
        coalesce(
            sums.amount - case when invoices.is_items_incl_tax then coalesce(invoices.tax_total, 0) else 0 end,
            invoices.invoice_total - coalesce(invoices.tax_total, 0)
        ) as net_amount,
        invoices.tax_total as tax_amount, true as has_tax, cast(0 as decimal(24, 2)) as stored_amount
    from source.general_invoices as invoices
    left join general_sums as sums on
        sums.portfolio_id = invoices.portfolio_id and sums.project_id = invoices.project_id and sums.gen_inv_id = invoices.gen_inv_id
    where not coalesce(invoices.deleted, false)

),

decided as (

    select invoices.*,
        coalesce(firm_status, case
            when word in ('void', 'voided', 'cancelled', 'canceled', 'withdrawn', 'superseded') then 'void'
            when word in ('rejected', 'declined', 'denied', 'disapproved', 'not approved') then 'rejected'
            when word in ('closed', 'complete', 'completed', 'final', 'finalized', 'terminated', 'no charge') then 'closed'
            when word in ('draft', 'new', 'in preparation') then 'draft'
            when word in ('approved', 'approved as noted', 'approved with comments', 'executed', 'fully executed', 'signed', 'paid')
                then 'approved'
            when is_approved_for_budget then 'approved'
            else 'pending'
        end) as approval_status
    from invoices

)

select
    decided.portfolio_id || '|' || decided.project_id || '|' || decided.id as record_id,
    decided.when_created as created_at, decided.last_modified as updated_at, decided.created_by,
    case
        when decided.gross_amount = 0 and decided.net_amount > 0 then 'retainage_release'
        when coalesce(decided.gross_amount, 0) >= 0 then 'progress'
    end as kind,
    coalesce(nullif(trim(decided.invoice_number), ''), cast(decided.sequence as varchar)) as number,
    normalize_number(nullif(trim(decided.invoice_number), '')) as number_key,
    decided.portfolio_id || '|' || decided.project_id as project_id,
    decided.portfolio_id || '|V' || case
        when own.company_id = decided.from_company_id then decided.to_company_id else decided.from_company_id
    end as vendor_id,
    decided.portfolio_id || '|' || decided.project_id || '|' || decided.contract as commitment_id,
    decided.invoice_date, decided.due_date,
    decided.approval_status,
    case when decided.approval_status = 'approved' then end_of_day(decided.approved_date) end as approved_at,
    decided.gross_amount,
    decided.gross_amount - decided.net_amount as retainage_amount,
    decided.tax_amount,
    decided.has_tax,
    decided.net_amount,
    decided.stored_amount as stored_materials_amount,
    end_of_day(decided.paid_date) as paid_at,
    decided.paid_date is not null as is_paid
from decided
left join own_companies as own on own.portfolio_id = decided.portfolio_id
