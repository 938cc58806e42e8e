-- title: CoConstruct purchase orders
-- grain: one purchase order of a job; rows of its cost codes are added up

select * from shared.exported_commitments
