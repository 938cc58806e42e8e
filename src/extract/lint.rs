//! What can be wrong with a manifest beyond its syntax, and how its errors are worded.

use std::collections::BTreeSet;

use chrono::format::{Item, StrftimeItems};

use super::cursor::FROM;
use super::manifest::{ColumnFrom, Cursor, CursorFormat, Manifest, Method, Paging, Protocol, Refresh, Table};
use super::template::{Piece, pieces};

/// Every problem of a parsed manifest, each with its place.
pub(crate) fn problems(manifest: &Manifest) -> Vec<String> {
    let mut found = Vec::new();
    let mut names = BTreeSet::new();
    for setting in &manifest.settings.secret {
        let is_declared =
            manifest.settings.required.contains(setting) || manifest.settings.optional.contains_key(setting);
        if !is_declared {
            found.push(format!("[settings] secret: `{setting}` is neither required nor optional"));
        }
    }
    if manifest.system.protocol == Protocol::Rest {
        rest(manifest, &mut found);
    }
    if manifest.system.protocol == Protocol::Odbc {
        super::odbc::section_problems(manifest, &mut found);
    }
    for table in &manifest.tables {
        if !names.insert(table.name.as_str()) {
            found.push(format!("table `{}` is declared twice", table.name));
        }
        let mut problems = Vec::new();
        match manifest.system.protocol {
            Protocol::Rest => relations(manifest, table, &mut problems),
            Protocol::Files => super::files::problems(manifest, table, &mut problems),
            Protocol::Odbc => super::odbc::problems(manifest, table, &mut problems),
        }
        columns(manifest, table, &mut problems);
        placeholders(manifest, table, &mut problems);
        found.extend(problems.into_iter().map(|problem| format!("table `{}`: {problem}", table.name)));
    }
    found
}

/// Whether the section is there that the protocol is spoken by, and no other's.
pub(crate) fn section(manifest: &Manifest, text: &str) -> Option<String> {
    let written: toml::Table = toml::from_str(text).ok()?;
    let needed = match manifest.system.protocol {
        Protocol::Rest => "rest",
        Protocol::Files => "files",
        Protocol::Odbc => "odbc",
    };
    if let Some(other) =
        ["rest", "files", "odbc"].into_iter().find(|name| *name != needed && written.contains_key(*name))
    {
        return Some(format!("[{other}]: the protocol is `{needed}`"));
    }
    (needed != "files" && !written.contains_key(needed)).then(|| format!("missing field `{needed}`"))
}

fn rest(manifest: &Manifest, found: &mut Vec<String>) {
    let rest = &manifest.rest;
    if rest.concurrency == 0 || rest.retry.attempts == 0 {
        found.push("[rest]: concurrency and retry.attempts must be at least 1".into());
    }
    let mut templates: Vec<(String, &str)> =
        rest.headers.iter().map(|(name, value)| (format!("headers.{name}"), value.as_str())).collect();
    templates.extend(rest.base_url.as_deref().map(|url| ("base_url".to_owned(), url)));
    for auth in &rest.auth {
        templates.extend(auth.templates().into_iter().map(|text| ("auth".to_owned(), text)));
    }
    for (place, template) in templates {
        for piece in pieces(template) {
            match piece {
                Piece::Setting(name) if !is_setting(manifest, name) => {
                    found.push(format!(
                        "[rest] {place}: unknown placeholder `{{{name}}}`{}",
                        setting_hint(manifest, name)
                    ));
                }
                Piece::Column(table, column) => {
                    found.push(format!("[rest] {place}: `{{{table}.{column}}}` has no meaning outside a table"));
                }
                Piece::Setting(_) | Piece::Text(_) => {}
            }
        }
    }
}

fn is_setting(manifest: &Manifest, name: &str) -> bool {
    manifest.settings.required.iter().any(|setting| setting == name) || manifest.settings.optional.contains_key(name)
}

fn setting_hint(manifest: &Manifest, name: &str) -> String {
    let known = manifest.settings.required.iter().chain(manifest.settings.optional.keys());
    did_you_mean(name, known.map(String::as_str))
}

fn table_hint(manifest: &Manifest, name: &str) -> String {
    did_you_mean(name, manifest.tables.iter().map(|table| table.name.as_str()))
}

fn relations(manifest: &Manifest, table: &Table, found: &mut Vec<String>) {
    match (&table.path, &table.embedded) {
        (Some(path), None) if !path.starts_with('/') => found.push(format!("path `{path}` must start with `/`")),
        (Some(_), None) => {}
        (None, Some(_)) if table.parent.is_empty() => {}
        (None, Some(_)) => found.push("an embedded table has no `parent`: it shares the scope of its table".into()),
        (None, None) => found.push("either `path` or `embedded` is needed".into()),
        (Some(_), Some(_)) => found.push("only one of `path` and `embedded` can be given".into()),
    }
    for (key, names) in [("parent", table.parent.as_slice()), ("companions", table.companions.as_slice())] {
        for name in names.iter().filter(|name| manifest.table(name).is_none()) {
            found.push(format!("{key}: unknown table `{name}`{}", table_hint(manifest, name)));
        }
    }
    if let Some(embedded) = &table.embedded
        && manifest.table(&embedded.table).is_none()
    {
        let name = &embedded.table;
        found.push(format!("embedded.table: unknown table `{name}`{}", table_hint(manifest, name)));
    }
    for setting in table.needs.iter().chain(table.under.values()).filter(|name| !is_setting(manifest, name)) {
        found.push(format!("needs or under: unknown setting `{setting}`{}", setting_hint(manifest, setting)));
    }
    for column in table.under.keys() {
        let lacks = |owner: &&str| manifest.table(owner).is_some_and(|owner| owner.column(column).is_none());
        if let Some(owner) = table.parent.iter().map(String::as_str).find(lacks) {
            found.push(format!("under: parent table `{owner}` has no column `{column}`"));
        }
    }
    if !table.under.is_empty() && table.parent.is_empty() {
        found.push("`under` needs a parent".into());
    }
    if table.method == Method::Get {
        let is_in_body = matches!(table.paging, Paging::Body { .. })
            || table.cursor.as_ref().is_some_and(|cursor| cursor.format == CursorFormat::FilterList);
        if table.body.is_some() || table.fields.is_some() || is_in_body {
            found.push("a body, and what stands in it, needs `method = \"POST\"` or `\"PUT\"`".into());
        }
    }
    if table.body.as_ref().is_some_and(|body| !body.is_table()) {
        found.push("`body` must be a table".into());
    }
    for name in table.optional.iter().filter(|name| table.column(name).is_none() || table.key.contains(name)) {
        found.push(format!("optional: `{name}` is no column, or one of the key"));
    }
    if hangs_on_itself(manifest, table) {
        found.push("its parents form a cycle".into());
    }
    for witness in &table.witness {
        let known = witness
            .split_once('.')
            .and_then(|(name, column)| manifest.table(name).map(|table| table.column(column).is_some()));
        match known {
            Some(true) => {}
            Some(false) => found.push(format!("witness `{witness}`: the table has no such column")),
            None => found.push(format!("witness `{witness}`: must name `table.column` of a known table")),
        }
    }
}

fn hangs_on_itself(manifest: &Manifest, table: &Table) -> bool {
    let mut open = table.owners();
    let mut seen = BTreeSet::new();
    while let Some(name) = open.pop() {
        if name == table.name {
            return true;
        }
        if seen.insert(name) {
            open.extend(manifest.table(name).map(Table::owners).unwrap_or_default());
        }
    }
    false
}

fn columns(manifest: &Manifest, table: &Table, found: &mut Vec<String>) {
    if table.key.is_empty() {
        found.push("`key` needs at least one column".into());
    }
    let declared = || table.columns.iter().map(|(name, _)| name.as_str());
    for key in table.key.iter().filter(|key| table.column(key).is_none()) {
        found.push(format!("key column `{key}` is not declared{}", did_you_mean(key, declared())));
    }
    for name in table.blank.iter().filter(|name| !table.key.contains(name)) {
        found.push(format!("blank: `{name}` is no key column"));
    }
    let is_below_closed = |name: &String| manifest.table(name).is_some_and(|parent| !parent.closed.is_empty());
    if table.settles && !table.parent.iter().any(is_below_closed) {
        found.push("`settles` needs a parent that says what is `closed`".into());
    }
    for (key, name) in [("deleted", &table.deleted), ("childless", &table.childless), ("changed", &table.changed)] {
        for name in name.iter().filter(|name| table.column(name).is_none()) {
            found.push(format!("{key} column `{name}` is not declared{}", did_you_mean(name, declared())));
        }
    }
    for name in table.closed.keys().filter(|name| table.column(name).is_none()) {
        found.push(format!("closed: column `{name}` is not declared{}", did_you_mean(name, declared())));
    }
    if table.refresh == Refresh::Open && (table.closed.is_empty() || table.cursor.is_none()) {
        found.push("refresh = \"open\" needs `closed`, which says what is not open, and a `cursor`".into());
    }
    if let Some(cursor) = &table.cursor {
        found.extend(cursor_problem(cursor));
    }
    for (name, column) in &table.columns {
        if name.starts_with('_') {
            found.push(format!("column `{name}`: names that start with `_` are ours"));
        }
        if let ColumnFrom::Parent(wanted) = &column.from {
            if table.owners().is_empty() {
                found.push(format!("column `{name}`: the table has no parent"));
            }
            for owner in table.owners().into_iter().filter_map(|owner| manifest.table(owner)) {
                if owner.column(wanted).is_none() {
                    found.push(format!("column `{name}`: parent table `{}` has no column `{wanted}`", owner.name));
                }
            }
        }
    }
}

/// What is wrong with a cursor's own text: it must hold the moment, in letters that strftime knows.
fn cursor_problem(cursor: &Cursor) -> Option<String> {
    let is_template = cursor.format == CursorFormat::Template;
    let text = cursor.template.as_deref();
    if is_template && !text.is_some_and(|text| text.contains(FROM)) {
        return Some(format!("cursor: the format `template` needs a `template` that holds `{FROM}`"));
    }
    if !is_template && (text.is_some() || cursor.moment.is_some()) {
        return Some("cursor: `template` and `moment` need the format `template`".into());
    }
    let letters = cursor.moment.as_deref()?;
    let is_unknown = StrftimeItems::new(letters).any(|item| matches!(item, Item::Error));
    is_unknown.then(|| format!("cursor: `moment` {letters} is not written in letters of strftime"))
}

fn placeholders(manifest: &Manifest, table: &Table, found: &mut Vec<String>) {
    let mut templates: Vec<String> = table.path.iter().chain(table.query.values()).cloned().collect();
    if let Some(body) = &table.body {
        body_strings(body, &mut templates);
    }
    for template in &templates {
        for piece in pieces(template) {
            match piece {
                Piece::Setting(name) if !is_setting(manifest, name) => {
                    found.push(format!("unknown placeholder `{{{name}}}`{}", setting_hint(manifest, name)));
                }
                Piece::Setting(name) if manifest.settings.secret.iter().any(|secret| secret == name) => {
                    found.push(format!("`{{{name}}}` is a secret: it may stand in auth and headers only"));
                }
                Piece::Text(_) | Piece::Setting(_) => {}
                Piece::Column(owner, column) => found.extend(column_problem(manifest, table, owner, column)),
            }
        }
    }
}

fn column_problem(manifest: &Manifest, table: &Table, owner: &str, column: &str) -> Option<String> {
    let owners: Vec<&str> = if owner == "parent" { table.owners() } else { vec![owner] };
    if owner != "parent" && !ancestors(manifest, table).contains(owner) {
        return Some(format!("unknown placeholder `{{{owner}.{column}}}`: `{owner}` is no parent of this table"));
    }
    if owners.is_empty() {
        return Some(format!("unknown placeholder `{{{owner}.{column}}}`: the table has no parent"));
    }
    let lacks = |name: &&str| manifest.table(name).is_some_and(|owner| owner.column(column).is_none());
    let lacking = owners.into_iter().find(lacks)?;
    Some(format!("unknown placeholder `{{{owner}.{column}}}`: table `{lacking}` has no such column"))
}

fn ancestors<'a>(manifest: &'a Manifest, table: &'a Table) -> BTreeSet<&'a str> {
    let mut open = table.owners();
    let mut seen = BTreeSet::new();
    while let Some(name) = open.pop() {
        if seen.insert(name) {
            open.extend(manifest.table(name).map(Table::owners).unwrap_or_default());
        }
    }
    seen
}

fn body_strings(value: &toml::Value, out: &mut Vec<String>) {
    match value {
        toml::Value::String(text) => out.push(text.clone()),
        toml::Value::Array(items) => items.iter().for_each(|item| body_strings(item, out)),
        toml::Value::Table(fields) => fields.iter().for_each(|(_, field)| body_strings(field, out)),
        _ => {}
    }
}

/// ` (did you mean `x`?)` if a known word is near, else nothing.
pub fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let distance = |candidate: &str| strsim::damerau_levenshtein(word, candidate);
    let nearest = known.into_iter().map(|candidate| (distance(candidate), candidate)).min();
    match nearest {
        Some((distance, candidate)) if distance <= 1 + word.chars().count() / 3 => {
            format!(" (did you mean `{candidate}`?)")
        }
        _ => String::new(),
    }
}

/// A JSON error in one line, with its place and the nearest known key.
pub(crate) fn explain_json(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let mut quoted = message.split('`').skip(1).step_by(2);
    match quoted.next().filter(|_| message.starts_with("unknown field")) {
        Some(word) => format!("{message}{}", did_you_mean(word, quoted)),
        None => message,
    }
}

/// A TOML error in one line, with its place and the nearest known key.
pub(crate) fn explain(error: &toml::de::Error, text: &str) -> String {
    let message = error.message();
    let line = error.span().and_then(|span| text.get(..span.start)).map(|before| before.matches('\n').count() + 1);
    let place = line.map_or_else(String::new, |line| format!("line {line}: "));
    let mut quoted = message.split('`').skip(1).step_by(2);
    let hint = match (message.starts_with("unknown field") || message.starts_with("unknown variant"), quoted.next()) {
        (true, Some(word)) => did_you_mean(word, quoted),
        _ => String::new(),
    };
    if hint.is_empty() {
        return format!("{place}{message}");
    }
    let short = message.split(", expected").next().unwrap_or(message);
    format!("{place}{}{hint}", short.replace("unknown field", "unknown key"))
}
