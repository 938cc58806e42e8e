-- title: What CoConstruct's bills say of their payment
-- grain: one bill that is paid

select * from shared.exported_payments
