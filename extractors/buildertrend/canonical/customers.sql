-- title: Clients of Buildertrend's jobs
-- grain: one client, as jobs name it

select * from shared.exported_customers
