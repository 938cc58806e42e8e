-- title: Vista phases
-- grain: one phase of the company's list, or one phase of a job that has others than these
-- A job takes its phases from the company's list, and what it has is a part of that: PM must take its codes there. A job whose phases are
-- locked, or that has a phase which the list does not (phases may be longer than those of the list), is compared by all of its own.
--   26-101 with 03-100 of the list → the company's 03-100; 26-102 with 03-100 and 99-001 of its own → both, as codes of 26-102.
-- By the mask `3R-3R-3R` phase 2-100 is stored as `  2-100-   `; the code is without these blanks, and without empty parts at its end.

with masks as (

    select coalesce(nullif(substr(max(regexp_replace(trim(input_mask), '[0-9]+[LRlr][Nn]?', '', 'g')), 1, 1), ''), '-') as separator
    from source.input_masks
    where lower(trim(datatype)) = 'bphase'

),

groups as (

    select distinct phase_group from source.companies where phase_group is not null

),

apart as (

    select phases.jc_co, phases.job
    from source.job_phases as phases
    left join source.phases as listed on listed.phase_group = phases.phase_group and listed.phase = phases.phase
    left join source.jobs as jobs on jobs.jc_co = phases.jc_co and jobs.job = phases.job
    group by phases.jc_co, phases.job
    having count(*) > count(listed.phase) or max(upper(trim(jobs.lock_phases))) = 'Y'

),

codes as (

    select
        concat(phases.phase_group, '|', trim(phases.phase)) as record_id, cast(null as varchar) as project_id, phases.phase,
        phases.description, true as is_active
    from source.phases as phases
    inner join groups on groups.phase_group = phases.phase_group
    where nullif(trim(phases.phase), '') is not null

    union all

    select
        concat(phases.jc_co, '|', trim(phases.job), '|', trim(phases.phase)), concat(phases.jc_co, '|', trim(phases.job)), phases.phase,
        phases.description, upper(trim(phases.active_yn)) is distinct from 'N'
    from source.job_phases as phases
    inner join apart on apart.jc_co = phases.jc_co and apart.job = phases.job
    where nullif(trim(phases.phase), '') is not null

)

select
    codes.record_id,
    codes.project_id,
    rtrim(
        regexp_replace(trim(codes.phase), concat(' *[', masks.separator, '] *'), masks.separator, 'g'), concat(masks.separator, ' ')
    ) as code,
    normalize_number(trim(codes.phase)) as code_key,
    trim(codes.description) as title,
    codes.is_active
from codes
cross join masks
