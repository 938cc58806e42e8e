//! What people read in a package: covers, the heads of SQL files, `README.txt`.

use std::fmt::Write as _;

use serde_json::Value;

use super::index::{Amounts, DefinitionsUsed, Index, Item, Method, Moment, Sample, SourceAsOf};
use super::sheet::ROWS_MAX;

/// What every cover says.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) warehouse_id: String,
    pub(super) firm: String,
    pub(super) as_of: Moment,
    pub(super) definitions: DefinitionsUsed,
    pub(super) sources: Vec<SourceAsOf>,
    /// The settings among the definitions.
    pub(super) settings: Value,
}

type Lines = Vec<(String, String)>;

fn push(lines: &mut Lines, name: &str, value: impl Into<String>) {
    let value = value.into();
    if !value.is_empty() {
        lines.push((name.to_owned(), value));
    }
}

fn heading(lines: &mut Lines, name: &str) {
    lines.push((name.to_owned(), String::new()));
}

/// The cover of a result.
pub(super) fn cover(context: &Context, item: &Item) -> Lines {
    let mut lines = Lines::new();
    heading(&mut lines, if item.title.is_empty() { &item.name } else { &item.title });
    push(&mut lines, "Question", item.question.as_str());
    push(&mut lines, "One row per", item.grain.as_str());
    push(&mut lines, "Firm", context.firm.as_str());
    heading(&mut lines, "Can it be relied on?");
    push(&mut lines, "Verdict", item.verdict.verdict.as_str());
    push(&mut lines, "Reason", item.verdict.reason.clone().unwrap_or_default());
    push(&mut lines, "Stated by", item.verdict.stated_by.as_str());
    if item.verdict.is_silent() {
        push(&mut lines, "So", "what is not listed here is not proven to be clean: not all of it was looked at");
    }
    lines.extend(item.verdict.details.iter().cloned());
    heading(&mut lines, "Completeness");
    push(&mut lines, "Rows", item.row_count.to_string());
    if item.row_count > ROWS_MAX {
        let text = format!("the first {ROWS_MAX}: a sheet holds no more. The CSV file has all of them");
        push(&mut lines, "Rows in this workbook", text);
    }
    for total in &item.control_totals {
        push(&mut lines, &format!("Total of {}", total.column), format!("{} ({} values)", total.total, total.values));
    }
    if item.columns.iter().any(|column| column.name == "explained_by") {
        let text = "of all rows. What the verdict says is at risk leaves out rows with `explained_by`: their money counts with the \
                    exception that they follow from";
        push(&mut lines, "These totals are", text);
    }
    push(
        &mut lines,
        "Cells",
        "Numbers of more than 15 digits are text. Moments are UTC, to the millisecond. The CSV file has every value whole.",
    );
    moment(&mut lines, context);
    heading(&mut lines, "Logic");
    push(&mut lines, "Query", item.query.as_str());
    push(&mut lines, "Order", "as the query says, then by all columns from left to right");
    for logic in &item.logic {
        push(&mut lines, &logic.path, format!("SHA-256 {}", logic.sha256));
    }
    push(&mut lines, "Views below it", format!("chain/definitions/{}.json", context.definitions.hash));
    heading(&mut lines, "Parameters");
    push(&mut lines, "Of the view, by default", item.parameters.as_str());
    settings(&mut lines, &context.settings);
    lines
}

/// The cover of a sample.
pub(super) fn sample_cover(context: &Context, item: &Item, sample: &Sample) -> Lines {
    let mut lines = Lines::new();
    heading(&mut lines, &format!("Sample of {}", item.name));
    push(&mut lines, "Population", format!("{}, {} rows", item.csv.clone().unwrap_or_default(), sample.row_count));
    push(&mut lines, "Verdict of the population", item.verdict.verdict.as_str());
    push(&mut lines, "Reason", item.verdict.reason.clone().unwrap_or_default());
    match &sample.method {
        Method::Random { size } => {
            push(&mut lines, "Method", format!("random: {size} rows, each set of them as likely as any other"));
        }
        Method::MonetaryUnit { size, column, amounts } => {
            let which = match amounts {
                Amounts::Positive => "amounts above zero",
                Amounts::Absolute => "all amounts by their size, without the sign",
            };
            push(&mut lines, "Method", format!("monetary unit: {size} intervals over {column}, {which}"));
        }
    }
    push(&mut lines, "Seed", sample.seed.to_string());
    push(&mut lines, "Rows that can be drawn", sample.population_count.to_string());
    push(&mut lines, "They come to", sample.population_total.clone().unwrap_or_default());
    for left in &sample.left_out {
        let text = format!("{} rows, which come to {}", left.count, left.total);
        push(&mut lines, &format!("Left out: {}", left.reason), text);
    }
    push(&mut lines, "Interval", sample.interval.clone().unwrap_or_default());
    push(&mut lines, "First unit drawn", sample.start.clone().unwrap_or_default());
    push(&mut lines, "Rows drawn", sample.drawn_count.to_string());
    push(&mut lines, "sample_row", "the row of the population's CSV file, the first below its header being 1");
    moment(&mut lines, context);
    lines
}

fn moment(lines: &mut Lines, context: &Context) {
    let Context { as_of, definitions, sources, .. } = context;
    heading(lines, "As of");
    push(lines, "Pin", as_of.pin.as_ref().map(|pin| pin.name.clone()).unwrap_or_default());
    push(lines, "Accounting date", as_of.accounting_date.as_str());
    push(lines, "Commit", format!("{}, made {}", as_of.commit, as_of.committed_at));
    push(lines, "Its data is true as of", as_of.observed_at.as_str());
    push(lines, "SHA-256 of its manifest", as_of.digest.as_str());
    push(lines, "Warehouse", context.warehouse_id.as_str());
    push(lines, "Definitions", format!("{}, SHA-256 {}", definitions.read_by, definitions.hash));
    heading(lines, "Source systems");
    for source in sources {
        let read = source.observed_at.as_deref().map_or_else(
            || "never read".to_owned(),
            |at| format!("read as of {at}, commit {}", source.commit.unwrap_or_default()),
        );
        let gaps = match source.incomplete_tables.len() {
            0 => String::new(),
            _ => format!("; not all of: {}", source.incomplete_tables.join(", ")),
        };
        push(lines, &source.source, format!("{}, {read}{gaps}", source.system));
    }
}

/// The settings in force, flat.
fn settings(lines: &mut Lines, settings: &Value) {
    for section in ["firm", "tolerance", "grace", "checks", "year_end", "accounts", "connector", "currencies"] {
        let Some(values) = settings.get(section).and_then(Value::as_object) else { continue };
        for (key, value) in values {
            let text = match value {
                Value::Null => continue,
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            push(lines, &format!("[{section}] {key}"), text);
        }
    }
}

/// A file of SQL: what was run, and the text of the view.
pub(super) fn sql(context: &Context, item: &Item, logic: &[(String, String)]) -> String {
    let Context { as_of, definitions, .. } = context;
    let pin = as_of.pin.as_ref().map(|pin| format!(", which the pin {} names", pin.name)).unwrap_or_default();
    let mut text = format!(
        "-- {title}\n-- as of commit {commit}{pin}; accounting date {date}\n-- by the {read_by} definitions {hash}\n\
         -- rows: in the order of the query, then of all columns from left to right\n\n{query};\n",
        title = if item.title.is_empty() { &item.name } else { &item.title },
        commit = as_of.commit,
        date = as_of.accounting_date,
        read_by = definitions.read_by,
        hash = definitions.hash,
        query = item.query,
    );
    for (path, body) in logic {
        let _ = write!(text, "\n-- {path}\n\n{body}");
        if !body.ends_with('\n') {
            text.push('\n');
        }
    }
    text
}

/// What stands in a sheet without rows.
pub(super) fn no_rows(item: &Item) -> String {
    let reason = item.verdict.reason.as_deref().map(|reason| format!(": {}", reason.replace('\n', ", ")));
    format!("no rows; verdict {}{}", item.verdict.verdict, reason.unwrap_or_default())
}

/// `README.txt`: what is here, and how anybody can check it.
pub(super) fn readme(index: &Index) -> String {
    let as_of = &index.as_of;
    let pin = as_of.pin.as_ref().map(|pin| format!("pin {}, ", pin.name)).unwrap_or_default();
    let mut text = format!(
        "Evidence of {firm}\n\
         as of {pin}commit {commit} ({committed}), about {date}\n\n\
         WHAT IS HERE\n\n\
         audit/, checks/, views/, query/   for each result: .sql (what was run, and the view's text), .csv (all rows),\n\
         \x20                                 .xlsx (cover, rows, SQL)\n\
         grounds/                          what they stand on: verdicts, and what was read of every source\n\
         samples/                          rows drawn from results, with method and seed in index.json\n\
         chain/commits/                    the manifest of every commit up to the one that is read, as stored\n\
         chain/definitions/                the SQL, manifests and settings in force, one JSON object from path to text\n\
         index.json                        all of it for programs: queries, parameters, row counts, control totals, digests\n\
         SHA256SUMS                        the digest of every other file\n\n\
         READ THE VERDICT FIRST\n\n\
         A result without rows is an all-clear only where its verdict is clean or complete. Files of results that were looked at\n\
         in part, or not at all, have that in their name.\n\n",
        firm = if index.firm.is_empty() { "warehouse" } else { &index.firm },
        commit = as_of.commit,
        committed = as_of.committed_at,
        date = as_of.accounting_date,
    );
    let silent: Vec<&Item> = index.items.iter().filter(|item| item.verdict.is_silent()).collect();
    let _ = writeln!(text, "{} of {} results are silent, or in part:\n", silent.len(), index.items.len());
    for item in silent {
        let reason = item.verdict.reason.as_deref().unwrap_or_default().replace('\n', ", ");
        let _ = writeln!(text, "  {}  {}: {reason}", item.name, item.verdict.verdict);
    }
    let _ = write!(
        text,
        "\nTO CHECK IT WITHOUT TIEOUT\n\n\
         1. sha256sum -c SHA256SUMS        (macOS: shasum -a 256 -c SHA256SUMS)   nothing was changed or removed\n\
         2. Files that SHA256SUMS does not name were added.\n\
         3. SHA-256 of chain/commits/{last:020}.json is {digest}:\n\
         \x20  the head that `tieout verify` prints, or that somebody kept when the period was closed. Each manifest names the\n\
         \x20  SHA-256 of the one before as its `parent`, from 1 on; `tables` in it has the digest, the row count and the control\n\
         \x20  totals of every file of the warehouse.\n\
         4. Rows and sums of each .csv are those of index.json.\n\n\
         WITH TIEOUT\n\n\
         tieout verify --evidence PATH     all of that, and every sample drawn again; needs neither settings nor warehouse\n\n\
         A package vouches for its end as little as a chain does: keep the digest that was printed when it was made.\n",
        last = as_of.commit,
        digest = as_of.digest,
    );
    text
}
