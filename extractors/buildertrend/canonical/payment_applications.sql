-- title: Which bill each payment of Buildertrend's pays
-- grain: one bill that is paid

select * from shared.exported_payment_applications
