//! What a check may say where not everything below it could be read: by source, by entity, by row. And whose keys are whose where a
//! side has several connections.

use super::tests::{CANONICAL, Firm, OK, PM, Scoped, ask, definitions, settings};
use super::*;
use crate::definitions::Definitions;
use crate::warehouse::rows::CoverageStatus;

const ORDERS: &str = "select orders.id as record_id, orders.project as project_id, orders.amount, orders.status as approval_status \
                      from source.orders left join source.order_lines on false";
const RUNS: &str = "select project_id, verdict, exception_count, reason from system.check_runs \
                    where _commit = (select max(_commit) from system.check_runs) and check_id = 'X1' order by project_id nulls last";

fn check(header: &str, sql: &str) -> String {
    format!("-- check: X1\n-- entity: change_orders\n-- scope: project\n{header}\n{sql}")
}

async fn judge(firm: &mut Firm, orders: &[(&str, &str, i128, &str)], scopes: &[Scoped<'_>]) -> (Verdict, String) {
    let evaluation = firm.day(orders, &[], scopes).await;
    let result = evaluation.checks.into_iter().find(|check| check.check == "X1").unwrap();
    assert_eq!(result.error, None);
    let session = firm.session().await;
    (result.verdict, ask(&session, RUNS).await)
}

/// With a second system of PM, which lists lines only where its setting asks for them.
fn other_system(query: &str) -> Definitions {
    let manifest =
        PM.replacen("pmx", "pmy", 1).replacen("parent = \"orders\"", "parent = \"orders\"\nneeds = \"lines\"", 1);
    definitions(&[
        ("extractors/pmy/manifest.toml", &format!("{manifest}[settings.optional]\nlines = \"\"\n")),
        ("extractors/pmy/canonical/projects.sql", "select id as record_id, 'M' || id as number from source.projects"),
        ("extractors/pmy/canonical/change_orders.sql", ORDERS),
        ("extractors/pmy/canonical/notes.sql", "select id as record_id from source.order_lines"),
        ("queries/canonical.toml", &format!("{CANONICAL}[notes]\ngrain = \"one note\"\ncolumns = {{}}\n")),
        ("queries/recon/x1.sql", query),
    ])
}

fn bound(systems: &[(&str, &str)]) -> EngineSettings {
    let binding =
        |(name, system): &(&str, &str)| SourceBinding { name: (*name).to_owned(), system: (*system).to_owned() };
    EngineSettings { sources: systems.iter().map(binding).collect(), ..EngineSettings::default() }
}

#[tokio::test]
async fn a_table_that_one_source_leaves_out_silences_its_own_projects_alone() {
    let query = check(
        "",
        "select 'X1:' || record_id as exception_key, project_id from pm.change_orders where amount is not null",
    );
    let orders = [("a", "1", 500, "approved")];
    let mut both = Firm::new(other_system(&query), bound(&[("pm1", "pmx"), ("pm2", "pmy"), ("erp1", "erpx")])).await;
    assert_eq!(both.engine.problems().await, []);
    both.also("pm2", &["7"]);
    let (verdict, runs) = judge(&mut both, &orders, &[("1", OK)]).await;
    assert_eq!(verdict, Verdict::Partial);
    let reason = "pm2.order_lines is read only with `lines` of [sources.pm2]";
    let expected =
        format!("| 1 | exceptions | 1 | |\n| pm2:7 | not_evaluated | 0 | {reason} |\n| | partial | 1 | {reason} |");
    assert_eq!(runs, expected);

    // Where no source reads it there is nothing to say, and that is no gap.
    let mut alone = Firm::new(other_system(&query), bound(&[("pm1", "pmy"), ("erp1", "erpx")])).await;
    let (verdict, runs) = judge(&mut alone, &orders, &[("1", OK)]).await;
    assert_eq!(verdict, Verdict::NotApplicable);
    assert!(runs.contains("pm1.order_lines is read only with"), "{runs}");
}

#[tokio::test]
async fn what_only_tells_more_is_not_needed() {
    let sql = "select 'X1:' || jobs.record_id as exception_key, jobs.record_id as project_id from pm.projects as jobs \
               left join pm.notes on false";
    let settings = || bound(&[("pm1", "pmy"), ("erp1", "erpx")]);
    let orders = [("a", "1", 500, "approved")];
    let without = check("-- entity: projects\n", sql).replacen("-- entity: change_orders\n", "", 1);
    let mut firm = Firm::new(other_system(&without), settings()).await;
    assert_eq!(judge(&mut firm, &orders, &[("1", OK)]).await.0, Verdict::NotApplicable);
    let mut firm =
        Firm::new(other_system(&without.replacen("\n\n", "\n-- optional: pm.notes\n\n", 1)), settings()).await;
    let (verdict, runs) = judge(&mut firm, &orders, &[("1", OK)]).await;
    assert_eq!(verdict, Verdict::Exceptions, "{runs}");
    assert!(runs.contains("judged without a table: pm1.order_lines is read only with"), "{runs}");
}

#[tokio::test]
async fn a_gap_under_one_entity_silences_no_other() {
    let sql = "select 'X1:p:' || record_id as exception_key, 'projects' as entity, record_id as project_id from pm.projects \
               union all \
               select 'X1:o:' || record_id as exception_key, 'change_orders' as entity, project_id from pm.change_orders";
    let query = check("-- by_entity: projects, change_orders\n", sql);
    let mut firm = Firm::new(definitions(&[("queries/recon/x1.sql", &query)]), settings()).await;
    assert_eq!(firm.engine.problems().await, []);
    let orders = [("a", "1", 500, "approved"), ("b", "2", 500, "approved")];
    let (verdict, runs) = judge(&mut firm, &orders, &[("1", OK), ("2", OK)]).await;
    assert_eq!(verdict, Verdict::Exceptions);
    assert_eq!(runs, "| 1 | exceptions | 2 | |\n| 2 | exceptions | 2 | |\n| | exceptions | 4 | |");
    // Project 2's orders were refused: its order stays as it was, the project itself is judged.
    let (verdict, runs) = judge(&mut firm, &orders[..1], &[("1", OK), ("2", CoverageStatus::Forbidden)]).await;
    assert_eq!(verdict, Verdict::Partial);
    assert!(
        runs.starts_with("| 1 | exceptions | 2 | |\n| 2 | partial | 2 | pm1.orders of project 2 is forbidden"),
        "{runs}"
    );
    let whole = check("", sql);
    let mut firm = Firm::new(definitions(&[("queries/recon/x1.sql", &whole)]), settings()).await;
    let (_, runs) = judge(&mut firm, &orders[..1], &[("1", OK), ("2", CoverageStatus::Forbidden)]).await;
    assert!(runs.contains("| 2 | not_evaluated | 0 |"), "{runs}");
}

#[tokio::test]
async fn an_entity_that_a_side_does_not_map_has_nothing_to_compare() {
    let sql = "select 'X1:p:' || here.record_id as exception_key, 'projects' as entity, here.record_id as project_id \
               from pm.projects as here left join erp.projects as there on there.record_id = here.record_id \
               where there.record_id is null \
               union all \
               select 'X1:o:' || record_id as exception_key, 'change_orders' as entity, project_id from pm.change_orders";
    let orders = [("a", "1", 500, "approved")];
    let query = check("-- by_entity: projects, change_orders\n", sql);
    let mut firm = Firm::new(definitions(&[("queries/recon/x1.sql", &query)]), settings()).await;
    let (verdict, runs) = judge(&mut firm, &orders, &[("1", OK)]).await;
    assert_eq!((verdict, runs.as_str()), (Verdict::Exceptions, "| 1 | exceptions | 1 | |\n| | exceptions | 1 | |"));
    let query = check("-- by_entity: projects\n", sql);
    let mut firm = Firm::new(definitions(&[("queries/recon/x1.sql", &query)]), settings()).await;
    assert_eq!(judge(&mut firm, &orders, &[("1", OK)]).await.0, Verdict::NotApplicable);
}

#[tokio::test]
async fn a_row_may_say_that_it_could_not_be_compared() {
    let sql = "select 'X1:' || record_id as exception_key, project_id, 'cannot compare ' || record_id as detail, \
               case record_id when 'a' then 'not_evaluated' when 'b' then 'not_applicable' end as verdict, \
               case record_id when 'c' then 'X1:d' when 'd' then 'X9:nobody' end as explained_by \
               from pm.change_orders";
    let query = check("", sql);
    let mut firm = Firm::new(definitions(&[("queries/recon/x1.sql", &query)]), settings()).await;
    let order = |id: &'static str, project: &'static str| (id, project, 500, "approved");
    let scopes = [("1", OK), ("2", OK), ("3", OK)];
    let orders = [order("a", "1"), order("b", "2"), order("c", "3"), order("d", "3")];
    let (verdict, runs) = judge(&mut firm, &orders, &scopes).await;
    assert_eq!(verdict, Verdict::Partial);
    assert_eq!(
        runs,
        "| 1 | partial | 0 | cannot compare a |\n| 2 | clean | 0 | cannot compare b |\n| 3 | exceptions | 2 | |\n\
         | | partial | 2 | cannot compare a; 1 more like it |"
    );
    // An explanation that no check reports explains nothing.
    let session = firm.session().await;
    let told = "select exception_key, explained_by from system.exceptions where check_id = 'X1' order by 1";
    assert_eq!(ask(&session, told).await, "| X1:c | X1:d |\n| X1:d | |");
    let (verdict, runs) = judge(&mut firm, &orders[1..2], &scopes).await;
    assert_eq!(verdict, Verdict::Clean, "{runs}");
    assert!(runs.ends_with("| | clean | 0 | cannot compare b |"), "{runs}");
}

#[tokio::test]
async fn a_project_of_which_nothing_is_compared_is_not_clean() {
    let sql = "select 'X1:' || record_id as exception_key, project_id, 'not locked' as detail, \
               case when record_id = 'c' then null else 'not_applicable' end as verdict, \
               case when record_id <> 'b' then 'project' end as verdict_scope from pm.change_orders";
    let query = check("", sql);
    let mut firm = Firm::new(definitions(&[("queries/recon/x1.sql", &query)]), settings()).await;
    let order = |id: &'static str, project: &'static str| (id, project, 500, "approved");
    let scopes = [("1", OK), ("2", OK), ("3", OK)];
    let (verdict, runs) = judge(&mut firm, &[order("a", "1"), order("b", "2")], &scopes).await;
    assert_eq!(verdict, Verdict::Clean);
    let of_first = "| 1 | not_applicable | 0 | not locked |";
    let of_second = "| 2 | clean | 0 | not locked |";
    assert_eq!(
        runs,
        format!("{of_first}\n{of_second}\n| 3 | clean | 0 | |\n| | clean | 0 | not locked; 1 more like it |")
    );
    // An exception of such a project speaks louder; and where no project was compared, neither was the firm.
    let (verdict, runs) = judge(&mut firm, &[order("a", "1"), order("c", "1")], &scopes[..1]).await;
    assert_eq!((verdict, runs.lines().next()), (Verdict::Exceptions, Some("| 1 | exceptions | 1 | not locked |")));
    let mut firm = Firm::new(definitions(&[("queries/recon/x1.sql", &query)]), settings()).await;
    let (verdict, runs) = judge(&mut firm, &[order("a", "1")], &scopes[..1]).await;
    assert_eq!(
        (verdict, runs.as_str()),
        (Verdict::NotApplicable, "| 1 | not_applicable | 0 | not locked |\n| | not_applicable | 0 | not locked |")
    );
}

#[tokio::test]
async fn no_check_waits_for_what_only_informs() {
    let query = check("", "select 'X1:' || record_id as exception_key, project_id from pm.change_orders");
    for (informs, expected) in [("false", Verdict::NotEvaluated), ("true", Verdict::Exceptions)] {
        let parent = format!("parent = \"orders\"\ninforms = {informs}");
        let manifest = PM.replacen("parent = \"orders\"", &parent, 1);
        let files = [("extractors/pmx/manifest.toml", manifest.as_str()), ("queries/recon/x1.sql", query.as_str())];
        let mut firm = Firm::new(definitions(&files), settings()).await;
        firm.lines_rest = true;
        let (verdict, runs) = judge(&mut firm, &[("a", "1", 500, "approved")], &[("1", OK)]).await;
        assert_eq!(verdict, expected, "{runs}");
    }
}

/// Lines of approved orders rest in incremental runs: they are known as of the last look at the order.
#[tokio::test]
async fn what_rests_below_a_closed_record_is_no_gap_until_it_is_due() {
    let manifest =
        PM.replacen("parent = \"projects\"", "parent = \"projects\"\nclosed = { status = [\"approved\"] }", 1);
    let query =
        check("", "select 'X1:' || record_id as exception_key, project_id from pm.change_orders where amount > 1");
    let files = [("extractors/pmx/manifest.toml", manifest.as_str()), ("queries/recon/x1.sql", query.as_str())];
    let mut firm = Firm::new(definitions(&files), settings()).await;
    let scopes = [("1", OK), ("2", OK), ("3", OK)];
    let first = [("a", "1", 500, "approved"), ("b", "2", 500, "draft"), ("c", "3", 500, "approved")];
    judge(&mut firm, &first, &scopes).await;
    firm.lines_rest = true;
    let (verdict, runs) = judge(&mut firm, &first, &scopes).await;
    assert_eq!(verdict, Verdict::Exceptions, "a day old: {runs}");
    // Two days: the draft's lines may have moved, and those of the order that was approved anew have not been read since.
    let changed = [first[0], first[1], ("c", "3", 900, "approved")];
    let (verdict, runs) = judge(&mut firm, &changed, &scopes).await;
    assert_eq!(verdict, Verdict::Partial, "{runs}");
    let gap = |project: &str, order: &str| {
        format!("| {project} | not_evaluated | 1 | pm1.order_lines of {project}/{order} was last read completely at")
    };
    assert!(runs.starts_with("| 1 | exceptions | 1 | |\n"), "{runs}");
    assert!(runs.contains(&gap("2", "b")) && runs.contains(&gap("3", "c")), "{runs}");
    // Up to when the project is known: the last look, not the old reading.
    let session = firm.session().await;
    let known = "select pm_observed_at = (select max(_extracted_at) from system.coverage) from system.check_runs \
                 where _commit = (select max(_commit) from system.check_runs) and check_id = 'X1' and project_id = '1'";
    assert_eq!(ask(&session, known).await, "| true |");
    for _ in 4..=31 {
        judge(&mut firm, &first[..1], &scopes[..1]).await;
    }
    assert_eq!(judge(&mut firm, &first[..1], &scopes[..1]).await.0, Verdict::NotEvaluated);
}

/// Projects with what PM says of them, and links of those that the ERP knows.
fn with_projects(project: &str, linked: &str, query: &str) -> Definitions {
    let canonical = CANONICAL.replacen(
        "columns = { number = \"text\" }",
        "columns = { number = \"text\", approval_status = \"text\", is_active = \"bool\" }",
        1,
    );
    let projects = format!("select id as record_id, 'N' || id as number, {project} from source.projects");
    let links = format!(
        "-- title: Linked projects\n\nselect record_id as pm_id, record_id as erp_id from pm.projects where record_id in ({linked})"
    );
    definitions(&[
        ("queries/canonical.toml", &canonical),
        ("extractors/pmx/canonical/projects.sql", &projects),
        ("queries/link/projects.sql", &links),
        ("queries/recon/x1.sql", query),
    ])
}

#[tokio::test]
async fn a_project_that_is_no_job_and_unknown_to_the_erp_makes_nothing_partial() {
    let query = check(
        "",
        "select 'X1:' || record_id as exception_key, nullif(project_id, '1') as project_id from pm.change_orders",
    );
    let orders = [("a", "1", 500, "approved")];
    let scopes = [("1", OK), ("2", CoverageStatus::EmptyUnverified)];
    let draft = "case when id = '2' then 'draft' end as approval_status, true as is_active";
    let away = "cast(null as varchar) as approval_status, id <> '2' as is_active";
    let job = "cast(null as varchar) as approval_status, true as is_active";
    let cases = [
        (draft, "'1'", Verdict::Exceptions),
        (away, "'1'", Verdict::Exceptions),
        // What the ERP knows, or PM calls a job, must be looked into.
        (draft, "'1', '2'", Verdict::Partial),
        (away, "'1', '2'", Verdict::Partial),
        (job, "'1'", Verdict::Partial),
    ];
    for (project, linked, expected) in cases {
        let mut firm = Firm::new(with_projects(project, linked, &query), settings()).await;
        assert_eq!(firm.engine.problems().await, []);
        let (verdict, runs) = judge(&mut firm, &orders, &scopes).await;
        assert_eq!(verdict, expected, "{project} {linked}: {runs}");
        // Of the project itself nothing is said either way; a record of no project is judged where no job is unread.
        assert!(runs.contains("| 2 | not_evaluated | 0 | pm1.orders of project 2 is empty_unverified"), "{runs}");
        assert_eq!(
            runs.contains("| exceptions | 1 |") || runs.contains("| partial | 1 |"),
            expected == Verdict::Exceptions,
            "{runs}"
        );
    }
    // Where nothing else is there, nobody looked.
    let mut firm =
        Firm::new(with_projects(away.replace("id <> '2'", "false").as_str(), "'9'", &query), settings()).await;
    let scopes = [("1", CoverageStatus::EmptyUnverified), ("2", CoverageStatus::EmptyUnverified)];
    assert_eq!(judge(&mut firm, &[], &scopes).await.0, Verdict::NotEvaluated);
}

/// Two PM connections and an ERP, whose entity tells its currency.
fn several() -> EngineSettings {
    let mut settings = settings();
    settings.sources.push(SourceBinding { name: "pm2".to_owned(), system: "pmx".to_owned() });
    settings.currencies = [("pm2".to_owned(), "CAD".to_owned())].into();
    settings
}

#[tokio::test]
async fn keys_of_all_but_the_first_connection_say_whose_they_are() {
    let canonical = CANONICAL.replace("amount = \"amount\"", "amount = \"amount\", currency = \"text\"");
    assert_ne!(canonical, CANONICAL);
    let orders = "select cast(orders.id as text) as record_id, projects.id as project_id, cast(null as text) as currency \
                  from source.projects left join source.orders on orders.project = projects.id";
    let files =
        [("queries/canonical.toml", canonical.as_str()), ("extractors/pmx/canonical/change_orders.sql", orders)];
    let mut firm = Firm::new(definitions(&files), several()).await;
    assert_eq!(firm.engine.problems().await, []);
    firm.also("pm2", &["1", "7"]);
    firm.day(&[("a", "1", 500, "approved")], &[], &[("1", OK)]).await;
    let session = firm.session().await;
    let projects = "select source, record_id from pm.projects order by 1, 2";
    assert_eq!(ask(&session, projects).await, "| pm1 | 1 |\n| pm2 | pm2:1 |\n| pm2 | pm2:7 |");
    // A null key stays null; the amounts of the one are in what its settings say.
    let orders = "select record_id, project_id, currency from pm.change_orders order by 2";
    assert_eq!(ask(&session, orders).await, "| a | 1 | |\n| | pm2:1 | CAD |\n| | pm2:7 | CAD |");
    let own = "select own_key('pm2', 'pm2:7'), own_key('pm1', 'pm2:7'), own_key(null, '7'), books_of('pm2')";
    assert_eq!(ask(&session, own).await, "| 7 | pm2:7 | 7 | erp1 |");
    let whole = "select key_of('pm2', '7'), key_of('pm1', '7'), key_of(null, '7'), key_of('pm2', cast(null as text))";
    assert_eq!(ask(&session, whole).await, "| pm2:7 | 7 | 7 | |");

    // What was read of one connection's project 1 is not told to who may read another's.
    for (project, seen) in
        [("1", "| pm1 | orders | 1 |"), ("pm2:1", "| pm2 | orders | 1 |"), ("pm1:1", "| pm1 | orders | 1 |")]
    {
        let access =
            Access { role: "site".to_owned(), projects: Some([project.to_owned()].into()), ..Access::default() };
        let request = SessionRequest { access: Some(Arc::new(access)), ..SessionRequest::default() };
        let session = firm.engine.session(&request).await.unwrap();
        let read = "select source, table_name, project from meta.coverage where table_name = 'orders'";
        assert_eq!(ask(&session, read).await, seen, "{project}");
        let freshness = "select count(*) from system.coverage where source = 'pm2'";
        assert_eq!(ask(&session, freshness).await, if project == "pm2:1" { "| 1 |" } else { "| 0 |" });
    }
}

#[test]
fn who_was_read_first_keeps_its_keys_whoever_comes_later() {
    let prefixed = |sources: &[(&str, &str)], read_before: &[(&str, &str)]| {
        let read_before = bound(read_before).sources;
        let settings = EngineSettings { read_before, ..bound(sources) };
        let blueprint = Blueprint::load(definitions(&[]), settings).unwrap();
        blueprint.settings.prefixes.clone().into_values().collect::<Vec<_>>()
    };
    let both = [("east", "pmx"), ("west", "pmx"), ("erp1", "erpx")];
    assert_eq!(prefixed(&both, &[]), ["west:"]);
    assert_eq!(prefixed(&both, &[("west", "pmx")]), ["east:"]);
    assert_eq!(prefixed(&both, &[("erp1", "erpx"), ("west", "pmx"), ("east", "pmx")]), ["east:"]);
    // A key of a connection that is gone is nobody else's.
    assert_eq!(prefixed(&both[..1], &[("west", "pmx"), ("east", "pmx")]), ["east:"]);
    assert_eq!(prefixed(&both[..1], &[("east", "pmx"), ("west", "pmx")]), ["west:"]);
    assert_eq!(prefixed(&both[..1], &[("gone", "unknown system")]), Vec::<String>::new());
}

#[test]
fn an_erp_that_is_none_is_refused() {
    for (pm, erp, says) in [("pm1", "erp2", "did you mean `erp1`"), ("erp1", "erp1", "is no PM source")] {
        let settings = EngineSettings { books: [(pm.to_owned(), erp.to_owned())].into(), ..settings() };
        let error = Blueprint::load(definitions(&[]), settings).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}
