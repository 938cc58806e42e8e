-- title:    Bills that PM approved and accounting holds up
-- entity:   vendor_invoices
-- question: Which linked bills stand in the ERP on hold, or before their approval or release?
-- grain:    one row per linked group that is approved in PM and of which the ERP has released nothing
-- columns:
--   group_id           PM's record id of the group
--   erp_id             the ERP's record id; of several the first
--   project_id         PM's record id of the project
--   label              PM's number
--   approval_status    in the ERP: draft (on hold) or pending
--   since              since when both PM's approval and the ERP's document are there, UTC; null where nobody tells
--   amount             PM's net amount
--   currency           of the amount

select * from shared.unreleased_documents
