-- title: Buildertrend client invoices
-- grain: one invoice or draw of a job

select * from shared.exported_owner_invoices
