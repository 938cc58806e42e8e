-- title: Which bill each payment of CoConstruct's pays
-- grain: one bill that is paid

select * from shared.exported_payment_applications
