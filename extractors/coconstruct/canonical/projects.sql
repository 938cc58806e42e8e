-- title: CoConstruct jobs
-- grain: one job

select * from shared.exported_projects
