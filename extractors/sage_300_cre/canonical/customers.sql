-- title: Sage 300 CRE customers
-- grain: one customer of the data folder

select * from shared.sage_300_cre_customers
