//! Fields that are not as declared: told once, and taken by the policy of their table.

use std::collections::{BTreeMap, BTreeSet};

use tieout::extract::{DriftPolicy, DriftRules, PreviousTable, RunOptions, SourceOutcome, SourceSettings, run};
use tieout::warehouse::rows::CoverageStatus;

use super::server::*;

/// A source whose second project has what it is given, under a policy.
async fn read(second: &'static str, policy: DriftPolicy, previous: PreviousTable) -> SourceOutcome {
    let server = serve(move |seen| match seen.path.as_str() {
        "/projects" => ok(r#"[{"id":1},{"id":2}]"#),
        "/contracts" if seen.query.contains("project_id=2") => ok(second),
        "/contracts" => ok(r#"[{"id":1,"total":"5"}]"#),
        _ => token(seen).unwrap(),
    })
    .await;
    let mut source: SourceSettings = source(&server, &format!("{SYSTEM}{CONTRACTS}"));
    source.rules.drift =
        DriftRules { usual: DriftPolicy::Evolve, tables: BTreeMap::from([("contracts".into(), policy)]) };
    let mut options: RunOptions = options(&clock());
    options.previous.tables.insert("contracts".into(), previous);
    run(&source, &options).await.unwrap()
}

fn seen_before(details: &[(&str, &str)]) -> PreviousTable {
    let mut known = PreviousTable { scopes: BTreeSet::from(["1".to_owned()]), ..PreviousTable::default() };
    for (field, detail) in details {
        known.drift.entry((*field).to_owned()).or_default().insert((*detail).to_owned());
    }
    known
}

fn told(outcome: &SourceOutcome) -> Vec<(&str, &str)> {
    table(outcome, "contracts").drift.iter().map(|it| (it.kind.as_str(), it.field.as_str())).collect()
}

const RETYPED: &str = r#"[{"id":2,"total":{"amount":"7"}},{"id":3,"total":"8"}]"#;

#[tokio::test]
async fn a_retyped_field_is_null_set_aside_or_frozen() {
    let outcome = read(RETYPED, DriftPolicy::Evolve, seen_before(&[])).await;
    assert_eq!((rows(&outcome, "contracts"), told(&outcome)), (3, vec![("type", "total")]));
    let rejects = &table(&outcome, "contracts").rejects;
    assert_eq!((rejects.len(), rejects[0].key.as_deref(), rejects[0].field.as_deref()), (1, Some("2"), Some("total")));
    assert_eq!(rejects[0].value.as_deref(), Some(r#"{"amount":"7"}"#));
    assert_eq!(coverage(&outcome, "contracts", "2").status, CoverageStatus::Partial, "an amount is not known");

    let outcome = read(RETYPED, DriftPolicy::Quarantine, seen_before(&[])).await;
    assert_eq!((rows(&outcome, "contracts"), told(&outcome)), (2, vec![("type", "total")]));
    let rejects = &table(&outcome, "contracts").rejects;
    let set_aside = (rejects[0].key.as_deref(), rejects[0].raw.as_str());
    assert_eq!((rejects.len(), set_aside), (1, (Some("2"), r#"{"id":2,"total":{"amount":"7"}}"#)));
    assert_eq!(coverage(&outcome, "contracts", "2").status, CoverageStatus::Partial, "its row of before stays");

    let outcome = read(RETYPED, DriftPolicy::Freeze, seen_before(&[])).await;
    assert_eq!((rows(&outcome, "contracts"), told(&outcome)), (0, vec![("type", "total")]));
    let statuses = ["1", "2"].map(|scope| coverage(&outcome, "contracts", scope).status);
    assert_eq!(statuses, [CoverageStatus::Failed; 2], "nothing of the table is believed");
    assert!(
        coverage(&outcome, "contracts", "1").error.as_ref().unwrap().contains("the table is frozen: column `total`")
    );
    assert_eq!(rows(&outcome, "projects"), 2, "other tables are taken");
}

#[tokio::test]
async fn a_frozen_table_stays_so_while_the_field_is_missing() {
    let without = |policy, previous| async move {
        let server = serve(|seen| match seen.path.as_str() {
            "/projects" | "/contracts" => ok(r#"[{"id":1}]"#),
            _ => token(seen).unwrap(),
        })
        .await;
        let mut source = source(&server, &format!("{SYSTEM}{CONTRACTS}"));
        source.rules.drift.usual = policy;
        let mut options = options(&clock());
        options.previous.tables.insert("contracts".into(), previous);
        run(&source, &options).await.unwrap()
    };
    let first = without(DriftPolicy::Freeze, PreviousTable::default()).await;
    assert_eq!(rows(&first, "contracts"), 1, "what was missing from the first is how this source is");
    let was_missing = table(&first, "contracts").drift[0].clone();
    let still = without(DriftPolicy::Freeze, seen_before(&[("total", &was_missing.detail)])).await;
    assert_eq!((rows(&still, "contracts"), told(&still)), (1, vec![]));

    let evolves = without(DriftPolicy::Evolve, seen_before(&[])).await;
    assert_eq!((rows(&evolves, "contracts"), told(&evolves)), (1, vec![("missing", "total")]));
    let freezes = without(DriftPolicy::Freeze, seen_before(&[])).await;
    assert_eq!((rows(&freezes, "contracts"), told(&freezes)), (0, vec![("missing", "total")]));
    let detail = table(&freezes, "contracts").drift[0].detail.clone();
    let again = without(DriftPolicy::Freeze, seen_before(&[("total", &detail)])).await;
    assert_eq!((rows(&again, "contracts"), told(&again)), (0, vec![]), "told once, and frozen until somebody acts");
    let released = without(DriftPolicy::Evolve, seen_before(&[("total", &detail)])).await;
    assert_eq!(rows(&released, "contracts"), 1);
}

#[tokio::test]
async fn a_new_field_is_told_and_kept_under_every_policy() {
    for policy in [DriftPolicy::Evolve, DriftPolicy::Freeze, DriftPolicy::Quarantine] {
        let outcome = read(r#"[{"id":2,"total":"7","colour":"red"}]"#, policy, seen_before(&[])).await;
        assert_eq!((rows(&outcome, "contracts"), told(&outcome)), (2, vec![("new", "colour")]), "{policy:?}");
        assert!(format!("{:?}", table(&outcome, "contracts").batches).contains("colour"), "kept in _raw");
    }
}
