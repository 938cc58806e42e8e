-- title: Cost codes that Buildertrend's budgets use
-- grain: one code of one job

select * from shared.exported_cost_codes
