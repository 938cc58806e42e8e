-- title: CoConstruct change orders and variations
-- grain: one change order of a job
-- kinds: prime

select * from shared.exported_change_orders
