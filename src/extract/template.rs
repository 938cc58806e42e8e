//! `{placeholders}` in a manifest's strings: a setting's name, or a column of a parent row. Nothing else: no expressions.

use serde_json::Value;

/// A piece of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// Text as it stands.
    Text(&'a str),
    /// `{name}`: a setting.
    Setting(&'a str),
    /// `{table.column}`: a typed column of the parent, or of an ancestor by its table's name.
    Column(&'a str, &'a str),
}

/// Splits a template. Braces around anything that is no name stay text.
pub(crate) fn pieces(template: &str) -> Vec<Piece<'_>> {
    let mut found = Vec::new();
    let mut rest = template;
    let mut text_from = rest;
    while let Some(open) = rest.find('{') {
        let after = rest.get(open + 1..).unwrap_or_default();
        let name = after.find('}').and_then(|close| after.get(..close)).filter(|name| is_name(name));
        if let Some(name) = name {
            let text = text_from.get(..text_from.len() - rest.len() + open).unwrap_or_default();
            if !text.is_empty() {
                found.push(Piece::Text(text));
            }
            found.push(
                name.split_once('.').map_or(Piece::Setting(name), |(table, column)| Piece::Column(table, column)),
            );
            rest = after.get(name.len() + 1..).unwrap_or_default();
            text_from = rest;
        } else {
            rest = after;
        }
    }
    if !text_from.is_empty() {
        found.push(Piece::Text(text_from));
    }
    found
}

fn is_name(text: &str) -> bool {
    let is_word = |word: &str| {
        word.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
            && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    text.split('.').count() <= 2 && text.split('.').all(is_word)
}

/// Why a template has no text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unset {
    /// The setting has no value.
    Setting(String),
    /// The parent's column is null.
    Column(String),
}

/// Fills a template in; `value` gives the text of a placeholder, `escape` treats it for its place.
pub(crate) fn fill(
    template: &str,
    value: &dyn Fn(&Piece<'_>) -> Option<String>,
    escape: fn(&str) -> String,
) -> Result<String, Unset> {
    let mut text = String::new();
    for piece in pieces(template) {
        match &piece {
            Piece::Text(plain) => text.push_str(plain),
            Piece::Setting(name) => {
                text.push_str(&escape(&value(&piece).ok_or_else(|| Unset::Setting((*name).to_owned()))?));
            }
            Piece::Column(table, column) => {
                let value = value(&piece).ok_or_else(|| Unset::Column(format!("{table}.{column}")))?;
                text.push_str(&escape(&value));
            }
        }
    }
    Ok(text)
}

/// No escaping.
pub(crate) fn plain(text: &str) -> String {
    text.to_owned()
}

/// Escapes a value for one segment of a URL's path.
pub(crate) fn segment(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            // Writing to a String cannot fail.
            _ => drop(write!(out, "%{byte:02X}")),
        }
    }
    out
}

/// A manifest's body as JSON, placeholders filled in; a field whose setting is unset is left out.
pub(crate) fn json(value: &toml::Value, fill_in: &dyn Fn(&Piece<'_>) -> Option<String>) -> Result<Value, Unset> {
    Ok(match value {
        toml::Value::String(text) => Value::String(fill(text, fill_in, plain)?),
        toml::Value::Integer(number) => Value::from(*number),
        toml::Value::Boolean(flag) => Value::from(*flag),
        toml::Value::Array(items) => items.iter().map(|item| json(item, fill_in)).collect::<Result<_, _>>()?,
        toml::Value::Table(fields) => {
            let mut object = serde_json::Map::new();
            for (name, field) in fields {
                match json(field, fill_in) {
                    Err(Unset::Setting(_)) => {}
                    filled => {
                        object.insert(name.clone(), filled?);
                    }
                }
            }
            Value::Object(object)
        }
        other => Value::String(other.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_names_and_leaves_other_braces() {
        assert_eq!(
            pieces("/a/{company_id}/{projects.id}/b"),
            vec![
                Piece::Text("/a/"),
                Piece::Setting("company_id"),
                Piece::Text("/"),
                Piece::Column("projects", "id"),
                Piece::Text("/b"),
            ]
        );
        assert_eq!(pieces("{not a name} {x}"), vec![Piece::Text("{not a name} "), Piece::Setting("x")]);
        assert_eq!(pieces("{a.b.c}{"), vec![Piece::Text("{a.b.c}{")]);
    }

    #[test]
    fn fills_escaped_and_says_what_is_unset() {
        let value = |piece: &Piece<'_>| matches!(piece, Piece::Setting("a")).then(|| "x/y".to_owned());
        assert_eq!(fill("/p/{a}", &value, segment), Ok("/p/x%2Fy".into()));
        assert_eq!(fill("/p/{b}", &value, plain), Err(Unset::Setting("b".into())));
        assert_eq!(fill("{parent.id}", &value, plain), Err(Unset::Column("parent.id".into())));
    }
}
