-- title: Sage 300 CRE vendors
-- grain: one vendor of the data folder

select * from shared.sage_300_cre_vendors
