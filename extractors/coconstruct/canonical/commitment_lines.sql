-- title: Cost codes of CoConstruct's purchase orders
-- grain: one row of a purchase order

select * from shared.exported_commitment_lines
