//! Which lists of which source were read how: those that were not read completely first.

use maud::{Markup, html};

use super::super::Failure;
use super::super::http::Asking;
use super::pieces::{Piece, choice};
use super::{Visit, allowed};
use crate::report::html::heading;
use crate::report::values::{self, count};

const STATUSES: [(&str, &str); 3] =
    [("", "not read completely"), ("complete", "read completely"), ("all", "all of them")];

pub(super) async fn view(asking: &mut Asking, visit: &Visit<'_>) -> Result<Markup, Failure> {
    let wish = visit.wish;
    let (mut conditions, mut values) = (vec!["true".to_owned()], Vec::new());
    match wish.get("status") {
        "all" => {}
        "complete" => conditions.push("status in ('ok', 'empty_verified')".to_owned()),
        _ => conditions.push("status not in ('ok', 'empty_verified')".to_owned()),
    }
    for (name, column) in [("source", "source"), ("table", "table_name"), ("project", "project")] {
        if !wish.get(name).is_empty() {
            values.push(wish.get(name));
            conditions.push(format!("{column} = ${}", values.len()));
        }
    }
    let conditions = conditions.join(" and ");
    let sources = "select source, count(*) from meta.coverage group by source order by source";
    let sources = match allowed(asking.rows::<2>(sources, &[]).await)? {
        Ok(sources) => sources,
        Err(notice) => return Ok(html! { h1 { "Coverage" } (notice) }),
    };
    let total = asking.rows::<1>(&format!("select count(*) from meta.coverage where {conditions}"), &values).await?;
    let total = total.first().and_then(|[count]| count.parse().ok()).unwrap_or(0);
    let piece = Piece::of(wish, total);
    let sql = format!(
        "select source, table_name, scope, project, status, row_count, date_trunc('second', observed_at), \
         date_trunc('second', complete_at), error from meta.coverage where {conditions} \
         order by source, table_name, scope {}",
        piece.sql()
    );
    let rows = asking.rows::<9>(&sql, &values).await?;
    let options: Vec<(String, String)> = std::iter::once((String::new(), "every source".to_owned()))
        .chain(sources.iter().map(|[name, lists]| (name.clone(), format!("{name} ({lists} lists)"))))
        .collect();
    let statuses: Vec<(String, String)> =
        STATUSES.iter().map(|(value, name)| ((*value).to_owned(), (*name).to_owned())).collect();
    Ok(html! {
        h1 { "Coverage" }
        p { "A list is a table of a source, of one project or document where it is read so. A check whose lists were not read completely does not say that all is well." }
        form.filters method="get" action="/coverage" {
            (choice("source", "Source", &options, wish.get("source")))
            (choice("status", "Lists", &statuses, wish.get("status")))
            div { label for="table" { "Table" } input id="table" name="table" type="text" value=(wish.get("table")) autocomplete="off"; }
            @for (name, value) in wish.others(&["source", "status", "table", "page"]) { input type="hidden" name=(name) value=(value); }
            div.go { button type="submit" { "Show" } }
        }
        p role="status" { (count(&total.to_string())) " lists" }
        @if sources.is_empty() {
            p.notice { "Nothing is known of any source, at this moment, for this role." }
        } @else if rows.is_empty() {
            p { "None." }
        } @else {
            (table(&rows, visit))
            (piece.links(wish))
        }
    })
}

fn table(rows: &[[String; 9]], visit: &Visit<'_>) -> Markup {
    let zone = visit.options.zone;
    html! {
        div.wide tabindex="0" role="region" aria-labelledby="lists" {
            table {
                caption id="lists" { "Lists" }
                thead { tr { @for name in ["source", "table", "of", "status", "rows", "read", "complete", "why not"] { (heading(name)) } } }
                tbody {
                    @for [source, table, scope, project, status, rows, read_at, complete_at, error] in rows {
                        tr {
                            th scope="row" { (source) }
                            td { (table) }
                            td { (scope) @if !project.is_empty() && project != scope { br; span.faint { "project " (project) } } }
                            td { @if matches!(status.as_str(), "ok" | "empty_verified") { (status.replace('_', " ")) } @else { span.verdict.partial { (status.replace('_', " ")) } } }
                            td.number { (count(rows)) }
                            td { (values::moment(read_at, zone)) }
                            td { @if complete_at.is_empty() { "never" } @else { (values::moment(complete_at, zone)) } }
                            td { (error) }
                        }
                    }
                }
            }
        }
    }
}
