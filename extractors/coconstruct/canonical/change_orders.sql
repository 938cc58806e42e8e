-- title: CoConstruct change orders and variations
-- grain: one change order of a job

select * from shared.exported_change_orders
