-- title: Cost codes of Sage 300 CRE's jobs
-- grain: one code of one job; its categories are cost types

select * from shared.sage_300_cre_cost_codes
