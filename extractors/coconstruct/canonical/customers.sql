-- title: Clients of CoConstruct's jobs
-- grain: one client, as jobs name it

select * from shared.exported_customers
