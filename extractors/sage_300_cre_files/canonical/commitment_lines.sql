-- title: Items of Sage 300 CRE's commitments
-- grain: one item

select * from shared.sage_300_cre_commitment_lines
