-- title: Estimates of Sage 300 CRE
-- grain: one cost code with a category of a job, over its extras

select * from shared.sage_300_cre_budget_lines
