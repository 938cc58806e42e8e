-- title: Buildertrend job costing budget
-- grain: one cost code of a job

select * from shared.exported_budget_lines
