-- title: CoConstruct subs and vendors
-- grain: one company

select * from shared.exported_vendors
