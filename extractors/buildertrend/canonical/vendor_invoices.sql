-- title: Buildertrend bills
-- grain: one bill of a vendor on a job; rows of its cost codes are added up

select * from shared.exported_vendor_invoices
