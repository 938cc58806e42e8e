-- title: Sage 300 CRE invoices of vendors
-- grain: one invoice of a vendor, and one more for what was paid of what it retained

select * from shared.sage_300_cre_vendor_invoices
