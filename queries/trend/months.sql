-- title:    The commit that stands for each month
-- question: Which commit shows how a month ended?
-- grain:    one row per calendar month from the first commit to the newest
-- columns:
--   month              first day of the month
--   commit_number      the month's pin, else the first commit as of which everything was read completely after its end
--   previous_commit    the commit of the last month before it that has one
--   is_closed          false while the month runs, or where not everything was read: then the nearest commit stands for it
--   evaluated_commit   the newest commit up to it in which checks ran
--   pin                the pin that makes it the month's commit

-- What the month's commit is, is decided in one place for trends, sign-offs, reports and kept states: meta.months.
select
    month,
    commit_number,
    coalesce(
        max(commit_number) over (order by month rows between unbounded preceding and 1 preceding), 0
    ) as previous_commit,
    is_closed,
    evaluated_commit,
    pin
from meta.months
