//! What an address asks for: its path, and the values behind it.

use std::collections::BTreeMap;

use url::form_urlencoded;

/// The longest value that is read.
const VALUE_CHARS_MAX: usize = 500;
/// The moment, which every link keeps.
pub(crate) const AS_OF: &str = "as_of";

/// A path with values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wish {
    path: String,
    values: BTreeMap<String, String>,
}

impl Wish {
    /// Reads an address. Of a value that is given twice the last one counts; blanks around one mean nothing.
    pub(crate) fn read(path: &str, query: &str) -> Self {
        let value = |(name, value): (std::borrow::Cow<'_, str>, std::borrow::Cow<'_, str>)| {
            let value: String =
                value.trim().chars().filter(|letter| !letter.is_control()).take(VALUE_CHARS_MAX).collect();
            (name.into_owned(), value)
        };
        Self { path: path.to_owned(), values: form_urlencoded::parse(query.as_bytes()).map(value).collect() }
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// A value; empty if it is not given.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.values.get(name).map_or("", String::as_str)
    }

    /// A whole number, if one is given.
    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.get(name).parse().ok()
    }

    /// An address at the same moment.
    pub(crate) fn to(&self, path: &str, values: &[(&str, &str)]) -> String {
        let mut all = values.to_vec();
        all.push((AS_OF, self.get(AS_OF)));
        link(path, &all)
    }

    /// This address with other values.
    pub(crate) fn with(&self, changes: &[(&str, &str)]) -> String {
        let kept = self.values.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let mut all: Vec<(&str, &str)> =
            kept.filter(|(name, _)| changes.iter().all(|(changed, _)| changed != name)).collect();
        all.extend(changes);
        link(&self.path, &all)
    }

    /// The values but these, for a form that sends the rest.
    pub(crate) fn others<'a>(&'a self, without: &'a [&'a str]) -> impl Iterator<Item = (&'a str, &'a str)> {
        let all = self.values.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        all.filter(move |(name, value)| !value.is_empty() && !without.contains(name))
    }
}

/// An address; values that are empty are left out.
pub(crate) fn link(path: &str, values: &[(&str, &str)]) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(values.iter().filter(|(_, value)| !value.is_empty()));
    let query = query.finish();
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_keeps_its_moment_and_what_it_does_not_change() {
        let wish = Wish::read("/exceptions", "check=O1&as_of=FY2025&text=+a%26b+&page=3&empty=");
        assert_eq!((wish.get("text"), wish.number("page"), wish.get("none")), ("a&b", Some(3), ""));
        assert_eq!(wish.to("/exception", &[("key", "O1:<x>")]), "/exception?key=O1%3A%3Cx%3E&as_of=FY2025");
        assert_eq!(wish.with(&[("page", "4")]), "/exceptions?as_of=FY2025&check=O1&text=a%26b&page=4");
        assert_eq!(wish.with(&[("as_of", ""), ("page", "")]), "/exceptions?check=O1&text=a%26b");
        let others: Vec<_> = wish.others(&["as_of", "page"]).collect();
        assert_eq!(others, [("check", "O1"), ("text", "a&b")]);
        assert_eq!(Wish::read("/", "a=1&a=2&b=x%00y").values.into_values().collect::<Vec<_>>(), ["2", "xy"]);
    }
}
