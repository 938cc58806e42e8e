-- title: Cost codes that CoConstruct's budgets use
-- grain: one code of one job

select * from shared.exported_cost_codes
