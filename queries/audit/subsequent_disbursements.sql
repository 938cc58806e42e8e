-- title:    Subsequent disbursements: the search for unrecorded liabilities
-- question: Which payments, bills and subcontractor invoices after the date are for work before it, and did the books owe them at the date?
-- grain:    one row per bill, requisition or payment (see columns); one without a document where there is none
-- columns:
--   pin                the pin that is read, or `not pinned`
--   accounting_date    T, the date of the balance sheet
--   searched_until     the day up to which documents are known: the moment that is read; on T itself nothing was searched yet
--   status             complete, not_evaluated (also: nothing after T is known yet; the project was not read in PM) or not_applicable
--   reason             why it is not complete
--   finding            unrecorded (work by T, not in payables at T); to_examine (nothing tells when the work was done, or PM still reviews it);
--                      next_period (work after T); recorded (in payables at T and paid since, or retained at T and released since)
--   document           bill (the ERP's), requisition (PM's, with no ERP bill at all) or payment (applied to nothing)
--   number             the number people use
--   vendor_name        as that side calls the vendor
--   project_number     the number people use
--   document_date      its date
--   service_date       end of the work that it bills; null = not told
--   posted_period      the ERP's fiscal period
--   amount             net, tax and retainage
--   paid_after_amount  paid after T
--   first_paid_on      the first of these payments
--   currency           of the amounts
--   record_id          the ERP's or PM's record id
-- sources:  payments and vouchers after T together, because payments alone miss what is still unpaid (CPA Journal, November 2017); AU-C 560;
--           PM's requisitions by the end of their billing period. Void and rejected documents and credits are none.

with ground as (

    select project_id, status, reason from link.audit_grounds where view_name = 'subsequent_disbursements'

),

found as (

    select
        documents.*,
        case
            when documents.is_recorded then 'recorded'
            when not documents.is_agreed then 'to_examine'
            when documents.service_date <= clock.accounting_date then 'unrecorded'
            when documents.document_date <= clock.accounting_date then 'unrecorded'
            when documents.service_date is null then 'to_examine'
            else 'next_period'
        end as finding
    from link.liability_documents as documents
    cross join meta.clock

),

-- A job without a PM project stands under the ERP's.
jobs as (

    select project_id, min(project_number) as project_number from link.erp_projects group by project_id

),

moment as (

    select
        accounting_date,
        coalesce(pin, 'not pinned') as pin,
        firm_day(observed_at) as searched_until,
        firm_day(observed_at) <= accounting_date as is_too_early
    from meta.clock

)

select
    moment.pin,
    moment.accounting_date,
    moment.searched_until,
    case
        when moment.is_too_early then 'not_evaluated'
        else coalesce(own.status, case firm.status when 'partial' then 'complete' else firm.status end)
    end as status,
    case
        when moment.is_too_early then 'nothing after the accounting date is known yet'
        else coalesce(own.reason, case when firm.status <> 'partial' then firm.reason end)
    end as reason,
    found.finding,
    found.document,
    found.number,
    found.vendor_name,
    coalesce(projects.number, jobs.project_number, found.project_id) as project_number,
    found.document_date,
    found.service_date,
    found.posted_period,
    found.amount,
    found.paid_after_amount,
    found.first_paid_on,
    found.currency,
    found.record_id
from ground as firm
cross join moment
left join found on true
left join ground as own on own.project_id = found.project_id
left join pm.projects on projects.record_id = found.project_id
left join jobs on jobs.project_id = found.project_id
where firm.project_id is null
