-- title: Sage 300 CRE jobs
-- grain: one job; its extras are part of it

select * from shared.sage_300_cre_projects
