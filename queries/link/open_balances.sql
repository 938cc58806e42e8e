-- title:    What both sides have open and paid, group by group
-- question: What do the documents of each linked group, and each single document, come to on each side?
-- grain:    one row per ledger and linked group, and per unlinked document that the other side ought to have
-- columns:
--   ledger             ap or ar
--   item_id            PM's record id of the group, else the document's record id
--   project_id         PM's record id of the project
--   party_id           PM's record id of the vendor; null for owner invoices
--   due_date           the ERP's, else PM's
--   dated              the first document's date
--   is_linked          whether both sides have it
--   pm_count           documents in PM
--   erp_count          documents in the ERP
--   pm_open            payable less paid in PM
--   erp_open           the same in the ERP
--   pm_paid            paid in PM
--   erp_paid           paid in the ERP
--   pm_retainage       retained in PM
--   erp_retainage      retained in the ERP
--   payable_gap        PM minus ERP; so are the other gaps
--   gross_gap          of gross amounts
--   retainage_gap      of what is retained
--   tax_gap            of tax
--   pm_moved_at        when PM approved the last of them, UTC
--   erp_moved_at       when the ERP got the last of them, UTC
--   pm_paid_at         PM's last payment, UTC
--   erp_paid_at        the ERP's last payment, UTC
--   payment_unit       what PM's payments are compared in (vendor_invoice_settlements)
--   currency_differs   the sides use different currencies
--   currency           of the amounts

select
    ledger,
    item_id,
    coalesce(min(case when side = 'pm' then project_id end), min(project_id)) as project_id,
    coalesce(min(case when side = 'pm' then party_id end), min(party_id)) as party_id,
    coalesce(min(case when side = 'erp' then due_date end), min(due_date)) as due_date,
    min(dated) as dated,
    bool_or(is_linked) as is_linked,
    count(case when side = 'pm' then 1 end) as pm_count,
    count(case when side = 'erp' then 1 end) as erp_count,
    sum(case when side = 'pm' then payable_amount - paid_amount else 0 end) as pm_open,
    sum(case when side = 'erp' then payable_amount - paid_amount else 0 end) as erp_open,
    sum(case when side = 'pm' then paid_amount else 0 end) as pm_paid,
    sum(case when side = 'erp' then paid_amount else 0 end) as erp_paid,
    sum(case when side = 'pm' then retained_amount else 0 end) as pm_retainage,
    sum(case when side = 'erp' then retained_amount else 0 end) as erp_retainage,
    sum(case side when 'pm' then payable_amount else -payable_amount end) as payable_gap,
    sum(case side when 'pm' then coalesce(gross_amount, 0) else -coalesce(gross_amount, 0) end) as gross_gap,
    sum(case side when 'pm' then retained_amount else -retained_amount end) as retainage_gap,
    sum(case side when 'pm' then coalesce(tax_amount, 0) else -coalesce(tax_amount, 0) end) as tax_gap,
    max(case when side = 'pm' then moved_at end) as pm_moved_at,
    max(case when side = 'erp' then moved_at end) as erp_moved_at,
    max(case when side = 'pm' then paid_at end) as pm_paid_at,
    max(case when side = 'erp' then paid_at end) as erp_paid_at,
    min(payment_unit) as payment_unit,
    coalesce(min(currency) <> max(currency), false) as currency_differs,
    min(currency) as currency
from link.open_documents
group by ledger, item_id
