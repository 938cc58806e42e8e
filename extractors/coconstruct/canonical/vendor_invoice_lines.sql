-- title: Cost codes of CoConstruct's bills
-- grain: one row of a bill

select * from shared.exported_vendor_invoice_lines
