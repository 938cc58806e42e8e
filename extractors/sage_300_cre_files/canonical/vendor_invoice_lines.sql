-- title: Distributions of Sage 300 CRE's invoices
-- grain: one distribution

select * from shared.sage_300_cre_vendor_invoice_lines
