-- title: Categories of Sage 300 CRE
-- grain: one category, with what it accumulates as

select * from shared.sage_300_cre_cost_types
