//! What a firm does not want read or kept: projects off its list, fields that are not declared, whom to call.

use std::collections::{BTreeMap, BTreeSet};

use tieout::extract::manifest::Sensitive;
use tieout::extract::{PreviousTable, SourceRules, SourceSettings, check, run};
use tieout::warehouse::rows::{CoverageStatus, ReadMode};
use tokio_util::sync::CancellationToken;

use super::server::*;

async fn site() -> Server {
    serve(|seen| match seen.path.as_str() {
        "/projects" => answer(
            200,
            &[("Total", "3")],
            r#"[{"id":1,"project_number":"24-001"},{"id":2,"project_number":"24-002"},{"id":3,"project_number":"24-003"}]"#,
        ),
        "/contracts" => {
            let project = seen.query.split("project_id=").nth(1).unwrap().split('&').next().unwrap();
            ok(&format!(
                r#"[{{"id":{project},"total":"5","note":"x","contact":{{"email":"jo@firm.example","Phone1":"555 123"}},
                    "file":"https://s3.example/a.pdf?X-Amz-Signature=abc"}}]"#
            ))
        }
        _ => token(seen).unwrap(),
    })
    .await
}

fn with(server: &Server, rules: SourceRules) -> SourceSettings {
    let number = "id = \"int64\"\nproject_number = \"text\"\n[[table]]";
    let manifest = format!("{SYSTEM}{CONTRACTS}").replacen("id = \"int64\"\n\n[[table]]", number, 1);
    SourceSettings { rules, ..source(server, &manifest) }
}

#[tokio::test]
async fn only_projects_on_the_list_are_read() {
    let server = site().await;
    let projects = Some(BTreeSet::from(["1".to_owned(), "24-003".to_owned()]));
    let source = with(&server, SourceRules { projects, ..SourceRules::default() });
    let mut options = options(&clock());
    let keys = BTreeMap::from([(String::new(), BTreeSet::from(["1".to_owned(), "2".to_owned()]))]);
    options.previous.tables.insert("projects".into(), PreviousTable { keys, ..PreviousTable::default() });
    let outcome = run(&source, &options).await.unwrap();
    assert_eq!((rows(&outcome, "projects"), rows(&outcome, "contracts")), (2, 2));
    assert_eq!(coverage(&outcome, "projects", "").status, CoverageStatus::Ok, "the others are missing on purpose");
    assert!(!server.log.lock().unwrap().iter().any(|line| line.contains("project_id=2")), "nor is it asked for");
    assert!(!format!("{:?}", outcome.tables).contains("24-002"));
    // One that was read before is hidden now, not deleted.
    assert_eq!(table(&outcome, "projects").mode, ReadMode::Incremental);
    assert_eq!(coverage(&outcome, "contracts", "2").status, CoverageStatus::NotFound);
}

#[tokio::test]
async fn check_says_what_a_table_holds_and_how_it_deletes() {
    let server = site().await;
    let projects = Some(BTreeSet::from(["24-002".to_owned()]));
    let source = with(&server, SourceRules { projects, ..SourceRules::default() });
    let checks = check(&source, &tieout::clock::Clock::Machine, &CancellationToken::new()).await.unwrap();
    let told: Vec<_> =
        checks.iter().map(|it| (it.is_reachable(), it.is_permitted(), it.size.map(|size| size.records))).collect();
    assert_eq!(told, [(true, Some(true), Some(1)), (true, Some(true), None)], "a list without a total tells no size");
    let sample = checks[1].sample.as_ref().unwrap();
    assert!(sample.contains("\"id\":2") && !sample.contains("Signature"), "{sample}");
    assert_eq!(format!("{:?}", checks.iter().map(|it| it.deletes).collect::<Vec<_>>()), "[Hidden, Absent]");
}

#[tokio::test]
async fn what_is_kept_of_a_record_is_what_the_rules_say() {
    let server = site().await;
    let raw = async |rules: SourceRules| {
        let mut source = with(&server, rules);
        source.redaction_key = Some(b"key".to_vec());
        let outcome = run(&source, &options(&clock())).await.unwrap();
        format!("{:?}", table(&outcome, "contracts").batches)
    };
    let all = raw(SourceRules::default()).await;
    assert!(all.contains("jo@firm.example") && all.contains("a.pdf") && !all.contains("Signature"), "{all}");
    let hashed = raw(SourceRules { personal: Some(Sensitive::Hash), ..SourceRules::default() }).await;
    assert!(hashed.contains("Phone1") && !hashed.contains("555 123") && !hashed.contains("jo@firm"), "{hashed}");
    let redact = vec![("**.note".to_owned(), Sensitive::Drop)];
    let named = raw(SourceRules { redact, ..SourceRules::default() }).await;
    assert!(!named.contains("note") && named.contains("contact"), "{named}");
    let declared = raw(SourceRules { declared_only: true, ..SourceRules::default() }).await;
    assert!(
        declared.contains(r#"{\"id\":1,\"total\":\"5\"}"#) || declared.contains(r#"{"id":1,"total":"5"}"#),
        "{declared}"
    );
    assert!(!declared.contains("contact"), "{declared}");
}
