//! The lives of exceptions over several commits: waivers, changed rules replayed, fields that moved.

use super::tests::{Firm, OK, ask, definitions, settings};
use super::*;
use crate::clock::Clock;
use crate::warehouse::commit::CommitKind;

/// The shipped views that tell lives.
const VIEWS: [(&str, &str); 4] = [
    ("queries/recon/check_runs.sql", include_str!("../../queries/recon/check_runs.sql")),
    ("queries/recon/exception_intervals.sql", include_str!("../../queries/recon/exception_intervals.sql")),
    ("queries/recon/exception_history.sql", include_str!("../../queries/recon/exception_history.sql")),
    ("queries/recon/waivers.sql", include_str!("../../queries/recon/waivers.sql")),
];
const OWNERSHIP: (&str, &str) =
    ("queries/recon/ownership.sql", "select 'change_orders' as entity, 'amount' as field, 'pm' as record_owner");
const SCOPES: [(&str, crate::warehouse::rows::CoverageStatus); 1] = [("1", OK)];

fn waiver(until: &str, up_to: Option<i128>) -> NewWaiver {
    NewWaiver {
        key: "O1:a".to_owned(),
        reason: "settled by phone".to_owned(),
        by: "Ada".to_owned(),
        until: until.parse().unwrap(),
        up_to,
    }
}

async fn refused(firm: &Firm, new: &NewWaiver) -> String {
    firm.engine.waive(new, &Clock::Shared(firm.clock.clone())).await.unwrap_err().to_string()
}

#[tokio::test]
async fn a_waiver_is_known_from_its_commit_on_and_lapses() {
    let mut firm = Firm::new(definitions(&VIEWS), settings()).await;
    let clock = Clock::Shared(firm.clock.clone());
    let orders = |cents| [("a", "1", cents, "approved")];
    firm.day(&orders(500), &[], &SCOPES).await;
    assert!(refused(&firm, &waiver("2026-03-06", None)).await.contains("it is in flight"));
    firm.day(&orders(500), &[], &SCOPES).await;
    let wrong = NewWaiver { key: "O1:b".to_owned(), ..waiver("2026-03-06", None) };
    let said = refused(&firm, &wrong).await;
    assert!(said.starts_with("waive O1:b: no exception of this key is open (did you mean `O1:a`?)"), "{said}");
    assert!(refused(&firm, &waiver("2026-03-03", None)).await.contains("2026-03-03 is past: today is 2026-03-04"));
    assert!(refused(&firm, &waiver("2026-03-06", Some(499))).await.contains("is 5.00, above --up-to 4.99"));

    // Commit 3. What it says is part of the chain, and nothing of it was known before.
    let made = firm.engine.waive(&waiver("2026-03-06", None), &clock).await.unwrap();
    assert_eq!((made.number, made.kind), (3, CommitKind::Waiver));
    let told = made.waiver.as_ref().unwrap();
    assert_eq!((told.amount.as_deref(), told.commit, told.manifest.len()), (Some("5.00"), 2, 64));
    let said = refused(&firm, &waiver("2026-03-09", None)).await;
    assert!(said.contains("it is waived already, by Ada until 2026-03-06"), "{said}");
    let session = firm.session().await;
    let state = "select state from system.exceptions";
    assert_eq!(ask(&session, state).await, "| waived |");
    session.sql("set tieout.as_of = 'commit:2'").await.unwrap();
    assert_eq!(ask(&session, state).await, "| open |");
    assert_eq!(ask(&session, "select count(*) from recon.waivers").await, "| 0 |");

    // It is counted apart, to the end of its last day.
    for number in [4, 5] {
        let check = firm.day(&orders(500), &[], &SCOPES).await.checks.remove(0);
        assert_eq!((check.exceptions, check.waived, check.verdict), (0, 1, Verdict::Exceptions), "{number}");
    }
    let check = firm.day(&orders(500), &[], &SCOPES).await.checks.remove(0);
    assert_eq!((check.exceptions, check.waived), (1, 0));

    // Up to an amount, and no further; what lapsed does not come back.
    firm.engine.waive(&waiver("2026-12-31", Some(1_000)), &clock).await.unwrap();
    for (cents, waived) in [(900, 1), (1_100, 0), (900, 0)] {
        let check = firm.day(&orders(cents), &[], &SCOPES).await.checks.remove(0);
        assert_eq!((check.exceptions + check.waived, check.waived), (1, waived), "{cents}");
    }
    let asked = Unwaive { key: "O1:a".to_owned(), ..Unwaive::default() };
    let said = firm.engine.unwaive(&asked, &clock).await.unwrap_err().to_string();
    assert!(said.contains("no waiver of this key is active"), "{said}");
    firm.engine.waive(&waiver("2026-12-31", None), &clock).await.unwrap();
    firm.engine.unwaive(&Unwaive { by: "Bob".to_owned(), ..asked }, &clock).await.unwrap();
    let session = firm.session().await;
    assert_eq!(ask(&session, state).await, "| open |");
    let waivers = "select waiver_commit, state, ended_commit, ended_by, ended_reason, is_needed from recon.waivers \
                   order by waiver_commit";
    assert_eq!(
        ask(&session, waivers).await,
        "| 3 | lapsed | 6 | | it held until 2026-03-06 | true |\n\
         | 7 | lapsed | 9 | | the amount rose to 11.00, above 10.00 | true |\n\
         | 11 | taken_back | 12 | Bob | | true |"
    );
    // One life, whatever was waived in it.
    let lives = "select episode, opened_commit, closed_commit, largest_amount, is_waived from recon.exception_history";
    assert_eq!(ask(&session, lives).await, "| 1 | 2 | | 11.00 | false |");
}

#[tokio::test]
async fn changed_rules_replayed_stand_beside_what_was_said() {
    let mut firm = Firm::new(definitions(&VIEWS), settings()).await;
    let orders = [("a", "1", 500, "approved"), ("b", "1", 900, "approved")];
    firm.day(&orders, &[], &SCOPES).await;
    firm.day(&orders, &[], &SCOPES).await;
    firm.day(&orders, &["b"], &SCOPES).await;
    let stuck = "queries/recon/change_order_stuck.sql";
    let changed = definitions(&[]).get(stuck).unwrap().replace("version:  1", "version:  2").replace(
        "where pm_orders.approval_status = 'approved'",
        "where pm_orders.approval_status = 'approved' and pm_orders.amount > 6",
    );
    let more: Vec<(&str, &str)> = VIEWS.into_iter().chain([(stuck, changed.as_str())]).collect();
    let engine = Engine::open(firm.engine.warehouse().clone(), definitions(&more), settings()).await.unwrap();

    let nothing = engine.recheck("2027-01-01").await.unwrap_err().to_string();
    assert!(nothing.starts_with("recheck: no commit since 2027-01-01 was judged"), "{nothing}");
    // The second day has both, the third has only `a`, which is no exception by the new rule.
    let found = engine.recheck("commit:2").await.unwrap();
    assert_eq!((found.commits.as_slice(), found.silent.len()), (&[2, 3][..], 0));
    let [((month, check), difference)] = found.differences.iter().collect::<Vec<_>>()[..] else {
        panic!("{:?}", found.differences)
    };
    assert_eq!((month.to_string().as_str(), check.as_str()), ("2026-03-01", "O1"));
    assert_eq!((difference.opened, difference.closed, difference.changed), (0, 1, 0));
    assert_eq!((difference.amount_before, difference.amount_after), (500, 0));
    assert_eq!(engine.warehouse().head().await.unwrap().number(), 3, "nothing is kept unasked");

    let clock = Clock::Shared(firm.clock.clone());
    let kept = engine.keep(&found, &clock).await.unwrap();
    assert_eq!((kept.number, kept.kind), (4, CommitKind::Recheck));
    let again = engine.keep(&found, &clock).await.unwrap_err();
    assert!(matches!(again, Error::Warehouse(crate::warehouse::Error::Conflict { .. })), "{again}");
    let session = engine.session(&SessionRequest::default()).await.unwrap();
    let runs = "select commit_number, check_version, exception_count, evaluated_commit, is_latest from recon.check_runs \
                where project_id is null order by commit_number";
    assert_eq!(
        ask(&session, runs).await,
        "| 1 | 1 | 0 | 1 | false |\n| 2 | 2 | 1 | 4 | false |\n| 3 | 2 | 0 | 4 | true |"
    );
    let lives =
        "select check_version, exception_key, opened_commit, closed_commit from recon.exception_history order by 1, 2";
    assert_eq!(ask(&session, lives).await, "| 2 | O1:b | 2 | 3 |");
    assert_eq!(ask(&session, "select count(*) from system.exceptions").await, "| 0 |");
    // As of an earlier commit one sees what had been evaluated by then.
    session.sql("set tieout.as_of = 'commit:3'").await.unwrap();
    assert_eq!(ask(&session, lives).await, "| 1 | O1:a | 2 | |\n| 1 | O1:b | 2 | 3 |");
    // The next commit goes on from there: nothing opens that the new rule does not know.
    let found = engine.recheck("commit:2").await.unwrap();
    assert!(found.differences.contains_key(&(*month, "O1".to_owned())), "commits 2 and 3 still say what they said");
}

#[tokio::test]
async fn a_moved_field_is_written_down_once_with_the_other_sides_value() {
    let mut firm = Firm::new(definitions(&[OWNERSHIP]), settings()).await;
    let orders = |cents| [("a", "1", cents, "approved"), ("b", "1", 300, "approved")];
    // What is there from the start, and what comes new, did not move; nor did what has no counterpart.
    firm.day(&orders(500), &["a"], &SCOPES).await;
    firm.day(&orders(500), &["a"], &SCOPES).await;
    firm.day(&orders(700), &["a"], &SCOPES).await;
    firm.day(&orders(700), &["a"], &SCOPES).await;
    let session = firm.session().await;
    let moves = "select commit_number, entity, field, record_owner, side, pm_id, old_value, new_value, other_value \
                 from system.field_moves";
    assert_eq!(ask(&session, moves).await, "| 3 | change_orders | amount | pm | pm | a | 5.00 | 7.00 | 0.00 |");
}

#[tokio::test]
async fn what_moved_is_found_against_the_commit_before_whoever_made_it() {
    let mut firm = Firm::new(definitions(&[OWNERSHIP]), settings()).await;
    let orders = |cents| [("a", "1", cents, "approved")];
    firm.day(&orders(500), &["a"], &SCOPES).await;
    let other = Engine::open(firm.engine.warehouse().clone(), definitions(&[OWNERSHIP]), settings()).await.unwrap();
    let own = std::mem::replace(&mut firm.engine, other);
    firm.day(&orders(700), &["a"], &SCOPES).await;
    firm.engine = own;
    firm.day(&orders(900), &["a"], &SCOPES).await;
    firm.day(&orders(800), &["a"], &SCOPES).await;
    let session = firm.session().await;
    let moves = "select commit_number, old_value, new_value from system.field_moves order by 1";
    assert_eq!(ask(&session, moves).await, "| 2 | 5.00 | 7.00 |\n| 3 | 7.00 | 9.00 |\n| 4 | 9.00 | 8.00 |");
}

#[tokio::test]
async fn a_stored_id_that_moved_is_written_down() {
    let canonical = tests::CANONICAL.replace("amount = \"amount\",", "amount = \"amount\", linked_id = \"text\",");
    let orders = "select id as record_id, project as project_id, amount, status as linked_id from source.orders";
    let more = [
        OWNERSHIP,
        ("queries/canonical.toml", canonical.as_str()),
        ("extractors/pmx/canonical/change_orders.sql", orders),
    ];
    let mut firm = Firm::new(definitions(&more), settings()).await;
    let day = |a, b| [("a", "1", 100, a), ("b", "1", 100, b)];
    // A record that is new, that stores its first key, or writes it otherwise, pointed nowhere else.
    firm.day(&[("a", "1", 100, "E1")], &[], &SCOPES).await;
    firm.day(&day("E1", " "), &[], &SCOPES).await;
    firm.day(&day("e1 ", "E2"), &[], &SCOPES).await;
    firm.day(&day("E3", ""), &[], &SCOPES).await;
    firm.day(&[("a", "1", 100, "E3")], &[], &SCOPES).await;
    let session = firm.session().await;
    let moves = "select commit_number, entity, side, source, record_id, project_id, old_id, new_id \
                 from system.stored_id_moves order by record_id";
    assert_eq!(
        ask(&session, moves).await,
        "| 4 | change_orders | pm | pm1 | a | 1 | e1 | E3 |\n| 4 | change_orders | pm | pm1 | b | 1 | E2 | |"
    );
}

#[tokio::test]
async fn nothing_is_said_of_moves_before_a_second_look() {
    let query = "-- check: X1\n-- entity: change_orders\n-- scope: firm\n\n\
                 select 'X1:' || pm_id as exception_key from system.field_moves";
    let mut firm = Firm::new(definitions(&[OWNERSHIP, ("queries/recon/x1.sql", query)]), settings()).await;
    let mut verdicts = Vec::new();
    for cents in [500, 500, 700] {
        let evaluation = firm.day(&[("a", "1", cents, "approved")], &["a"], &SCOPES).await;
        verdicts.extend(evaluation.checks.into_iter().filter(|check| check.check == "X1").map(|check| check.verdict));
    }
    assert_eq!(verdicts, [Verdict::NotApplicable, Verdict::Clean, Verdict::Exceptions]);
}
