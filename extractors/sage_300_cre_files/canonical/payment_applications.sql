-- title: Which invoices Sage 300 CRE's payments pay
-- grain: one payment on one invoice, and one more for what it pays of what was retained there

select * from shared.sage_300_cre_payment_applications
