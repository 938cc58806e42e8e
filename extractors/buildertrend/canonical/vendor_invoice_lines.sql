-- title: Cost codes of Buildertrend's bills
-- grain: one row of a bill

select * from shared.exported_vendor_invoice_lines
