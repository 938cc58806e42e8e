-- title: Receivables of Sage 300 CRE
-- grain: one status key (customer, type, date, sequence): invoice numbers may be blank or used again

select * from shared.sage_300_cre_owner_invoices
