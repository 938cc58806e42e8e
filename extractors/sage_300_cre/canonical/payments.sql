-- title: Payments of Sage 300 CRE to vendors
-- grain: one payment to one vendor; a void is none of its own

select * from shared.sage_300_cre_payments
