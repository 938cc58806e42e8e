//! `report`: what it says of a month, in each format, and what it refuses.

use calamine::{Data, Reader as _, Xlsx, open_workbook};

use super::lives::{CHECK, LARGE, projects};
use super::toy::{Page, Toy};

/// The snapshots that close September and October: one exception closed, one opened, one stayed.
async fn two_months() -> Toy {
    let toy = Toy::start(projects(&[(1, "250.00"), (2, "20000.00"), (3, "5.00")])).await;
    // What a system wrote is text in a page, never a part of it.
    let detail = "'<img src=x> | ' || cast(id as varchar) || ' is worth";
    toy.write(CHECK, &LARGE.replace("'project ' || cast(id as varchar) || ' is worth", detail));
    toy.run(&["extract", "--now", "2026-10-01T06:00:00Z"]).await.says(0, &[]);
    toy.answer(projects(&[(1, "50.00"), (2, "20000.00"), (3, "5.00"), (4, "1234.56")])).await;
    toy.run(&["extract", "--now", "2026-11-01T06:00:00Z"]).await.says(0, &[]);
    toy
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_stands_alone_and_tells_what_changed() {
    let toy = two_months().await;
    toy.run(&["report", "-o", "report.html"]).await.says(0, &["report.html"]);
    let page = std::fs::read_to_string(toy.folder().join("report.html")).unwrap();
    let told = [
        "October 2026<",
        "21,234.56 USD",
        "Opened: 1<",
        "Resolved: 1<",
        "&lt;img src=x&gt; | 2 is worth 20000.00",
        "X1:4",
    ];
    for text in told {
        assert!(page.contains(text), "{text}\n{page}");
    }
    for text in ["<img", "http:", "https:", "src=\"", "<link", "could not look everywhere", "(so far)"] {
        assert!(!page.contains(text), "{text}\n{page}");
    }
    let october = toy.run(&["report", "--month", "2026-10"]).await;
    assert_eq!((october.code, &october.out), (0, &page), "{}", october.err);
    let september = toy.run(&["report", "--month", "2026-09"]).await;
    assert!(september.out.contains("20,250.00 USD") && !september.out.contains("X1:4"), "{}", september.out);
    assert_eq!(september.out, toy.run(&["report", "--as-of", "2026-10-15"]).await.out);
    // The month that runs, once something was read in it.
    toy.answer(projects(&[(2, "20000.00"), (3, "5.00")])).await;
    toy.run(&["extract", "--now", "2026-11-15T06:00:00Z"]).await.says(0, &[]);
    let november = toy.run(&["report"]).await;
    for text in ["November 2026 (so far)", "20,000.00 USD", "Opened: 0<", "Resolved: 1<"] {
        assert!(november.out.contains(text), "{text}\n{}", november.out);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workbook_has_what_the_check_has() {
    let toy = two_months().await;
    toy.run(&["report", "--format", "xlsx", "-o", "report.xlsx"]).await.says(0, &["report.xlsx"]);
    let mut book: Xlsx<_> = open_workbook(toy.folder().join("report.xlsx")).unwrap();
    assert_eq!(book.sheet_names(), ["Summary", "X1", "Trend"]);
    let sheet = book.worksheet_range("X1").unwrap();
    let rows: Vec<&[Data]> = sheet.rows().collect();
    let heading = rows.iter().position(|row| row[0] == Data::String("project".to_owned())).unwrap();
    let place = |name: &str| rows[heading].iter().position(|cell| *cell == name).unwrap();
    let found: Vec<(String, Data)> =
        rows[heading + 1..].iter().map(|row| (row[place("key")].to_string(), row[place("amount")].clone())).collect();
    assert_eq!(found, [("X1:2".to_owned(), Data::Float(20000.00)), ("X1:4".to_owned(), Data::Float(1234.56))]);
    let total = rows.iter().find(|row| row.iter().any(|cell| *cell == "total of the rows shown")).unwrap();
    assert_eq!(total[place("amount")].to_string(), "21234.56");
    let formulas = book.worksheet_formula("X1").unwrap();
    assert!(formulas.used_cells().any(|(_, _, formula)| formula.starts_with("SUBTOTAL(109,E8:E9")), "{formulas:?}");
    toy.run(&["report", "--format", "xlsx", "-o", "again.xlsx"]).await.says(0, &[]);
    let bytes = |name: &str| std::fs::read(toy.folder().join(name)).unwrap();
    assert!(bytes("report.xlsx") == bytes("again.xlsx"), "twice the same");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_names_what_to_fix_first() {
    let ended = two_months().await.run(&["report", "--format", "md"]).await;
    assert_eq!(ended.code, 0, "{}", ended.err);
    for text in [
        "2 open exceptions, 21,234.56 USD at risk. This month 1 opened and 1 resolved",
        "\\<img src=x\\> \\| 2 is worth 20000.00 |",
        "- project management: 2, 21,234.56 USD",
    ] {
        assert!(ended.out.contains(text), "{text}\n{}", ended.out);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_could_not_look_is_told_first() {
    let toy = two_months().await;
    toy.answer(Page::Text("[{\"amount\":\"1.00\"},{\"id\":2,\"amount\":\"20000.00\"}]".to_owned())).await;
    toy.run(&["extract", "--now", "2026-11-04T06:00:00Z"]).await.says(5, &[]);
    let page = toy.run(&["report"]).await;
    page.says(5, &["could not look everywhere: the report says which and why"]);
    assert!(page.out.contains("could not look everywhere") && page.out.contains("toy.projects"), "{}", page.out);
    toy.run(&["report", "--format", "md"]).await.says(5, &[]);
    toy.run(&["report", "--month", "2026-10"]).await.says(0, &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_there_is_no_report_of_is_told() {
    let toy = two_months().await;
    for (arguments, texts) in [
        (
            &["report", "--month", "2026-08"][..],
            &["report --month 2026-08: no snapshot is of that month", "hint: snapshots are of 2026-09 to 2026-11"][..],
        ),
        (&["report", "--month", "October"], &["report --month October: not a month", "hint: for example 2026-10"]),
        (&["report", "--as-of", "FY1999"], &["FY1999", "hint:"]),
        (&["report", "-o", "none/report.html"], &["write none/report.html", "No such file"]),
        (&["report", "--month", "2026-10", "--as-of", "2026-10-31"], &["cannot be used with"]),
    ] {
        toy.run(arguments).await.says(2, texts);
    }
    let empty = Toy::start(projects(&[])).await;
    empty.run(&["report"]).await.says(4, &["there is no such warehouse"]);
}
