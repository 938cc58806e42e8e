-- title:    Which year-end schedules can be relied on
-- question: Was everything that a schedule reads read completely by the moment, is the moment a pin, and of which projects was something not read?
-- grain:    one row per schedule, and per schedule and project with a gap
-- columns:
--   pin                the pin that is read; `not pinned` anywhere else: then another reader may see other figures tomorrow
--   accounting_date    the date that balances are rebuilt at
--   view_name          the schedule, without its schema
--   project_id         PM's record id of the project; null = the schedule as a whole
--   project_number     the number people use
--   status             read this first: complete, partial, not_evaluated or not_applicable
--   reason             what was not read, or is told by no system
--   project_count      projects with a gap, in the row of the whole
-- sources:  the same rules by which a check falls silent (recon.check_runs): a list that was refused, is empty without proof, or was read
--           longer than `freshness_hours` before the commit proves nothing. A schedule says `not_evaluated` in every row then, and has one
--           row at least.

select
    coalesce(clock.pin, 'not pinned') as pin,
    clock.accounting_date,
    grounds.view_name,
    grounds.project_id,
    projects.number as project_number,
    grounds.status,
    grounds.reason,
    grounds.project_count
from link.audit_grounds as grounds
left join pm.projects on projects.record_id = grounds.project_id
cross join meta.clock
