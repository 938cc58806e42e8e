-- title: Job cost of Sage 300 CRE
-- grain: one posted cost, current and moved to history

select * from shared.sage_300_cre_job_costs
