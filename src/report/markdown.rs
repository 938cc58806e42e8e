//! The report as a message for a chat: what nobody could look at, what changed, what to fix first.

use std::fmt::Write as _;

use super::values::{count, money, plural};
use super::{Group, Report};

/// What is to be fixed first.
const FIRST: usize = 10;
/// Projects and checks that are named.
const NAMED: usize = 8;

/// The message, in the Markdown that Slack, Teams, GitHub and mail programs share.
pub(crate) fn message(report: &Report) -> String {
    let mut out = String::new();
    let whole = report.by(|_| "");
    let amount = whole.first().map_or_else(|| "nothing".to_owned(), Group::amount);
    // Writing to a text does not fail.
    let _ = write_message(&mut out, report, &amount);
    out
}

fn write_message(out: &mut String, report: &Report, amount: &str) -> std::fmt::Result {
    writeln!(out, "# {}\n", plain(&report.heading()))?;
    let silent: Vec<_> = report.silent().collect();
    if !silent.is_empty() {
        writeln!(
            out,
            "**{} could not look everywhere**, and this report says nothing of what they would find:\n",
            plural(silent.len(), "check", "checks")
        )?;
        for check in silent.iter().take(NAMED) {
            let reason = if check.reason.is_empty() { String::new() } else { format!(": {}", plain(&check.reason)) };
            writeln!(out, "- {} {} ({}){reason}", check.id, plain(&check.title), check.verdict.replace('_', " "))?;
        }
        more(out, silent.len(), NAMED)?;
        writeln!(out)?;
    }
    writeln!(
        out,
        "{}, {amount} at risk. This month {} opened and {} resolved; {} waived.\n",
        plural(report.open.len(), "open exception", "open exceptions"),
        report.opened.len(),
        report.closed.len(),
        report.waived.len(),
    )?;
    if !report.open.is_empty() {
        writeln!(out, "## Fix first\n\n| amount | fix in | project | what | days |\n|---:|---|---|---|---:|")?;
        for exception in report.first(FIRST) {
            writeln!(
                out,
                "| {} | {} | {} | {} {} | {} |",
                money(&exception.amount, &exception.currency),
                side(&exception.fix_side),
                plain(&exception.project),
                exception.check,
                plain(exception.told()),
                count(&exception.age_days),
            )?;
        }
        writeln!(out, "\n## By side\n")?;
        for group in report.by(|exception| &exception.fix_side) {
            writeln!(out, "- {}: {}, {}", side(group.name), group.count, group.amount())?;
        }
        writeln!(out, "\n## By project\n")?;
        let projects = report.by(|exception| &exception.project);
        for group in projects.iter().take(NAMED) {
            let name = if group.name.is_empty() { "the firm".to_owned() } else { plain(group.name) };
            writeln!(out, "- {name}: {}, {}", group.count, group.amount())?;
        }
        more(out, projects.len(), NAMED)?;
        writeln!(out)?;
    }
    writeln!(out, "Read {}, commit {}. `tieout recon` has all.", report.observed_at, report.commit)
}

fn more(out: &mut String, all: usize, most: usize) -> std::fmt::Result {
    if all > most { writeln!(out, "- … {} more", all - most) } else { Ok(()) }
}

fn side(fix_side: &str) -> &str {
    match fix_side {
        "pm" => "project management",
        "erp" => "the ERP",
        "" => "either",
        other => other,
    }
}

/// A text of a source: nothing in it is a table's line, a link or a mark.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '|' | '*' | '_' | '`' | '[' | ']' | '<' | '>' | '#' | '\\' | '@' | '~' => out.extend(['\\', character]),
            character if character.is_control() => out.push(' '),
            character => out.push(character),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_source_wrote_marks_nothing_up() {
        assert_eq!(plain("a|b\n# *c* <@U1>"), "a\\|b \\# \\*c\\* \\<\\@U1\\>");
    }
}
