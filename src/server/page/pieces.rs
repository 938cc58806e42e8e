//! Long lists in pieces, and the fields of forms.

use maud::{Markup, html};

use super::wish::Wish;
use crate::report::values::grouped;

/// Rows of a piece: what may be asked for, the first of them if nothing is.
const SIZES: [u64; 3] = [50, 100, 200];

/// A piece of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// From 1.
    page: u64,
    size: u64,
    total: u64,
}

impl Piece {
    /// The piece that an address asks for, the last one if there are fewer.
    pub(super) fn of(wish: &Wish, total: u64) -> Self {
        let size = wish.number("size").filter(|size| SIZES.contains(size)).unwrap_or(SIZES[0]);
        let last = total.div_ceil(size).max(1);
        Self { page: wish.number("page").unwrap_or(1).clamp(1, last), size, total }
    }

    /// What bounds its query.
    pub(super) fn sql(self) -> String {
        format!("limit {} offset {}", self.size, (self.page - 1) * self.size)
    }

    fn last(self) -> u64 {
        self.total.div_ceil(self.size).max(1)
    }

    /// Links to the others.
    pub(super) fn links(self, wish: &Wish) -> Markup {
        let to = |page: u64| wish.with(&[("page", &page.to_string())]);
        let first = (self.page - 1) * self.size + 1;
        let last = (self.page * self.size).min(self.total);
        html! {
            nav.pieces aria-label="Pages" {
                p { (grouped(&first.to_string())) "–" (grouped(&last.to_string())) " of " (grouped(&self.total.to_string())) }
                @if self.last() > 1 {
                    ul {
                        @if self.page > 1 { li { a href=(to(1)) { "First" } } li { a href=(to(self.page - 1)) rel="prev" { "Previous" } } }
                        li aria-current="page" { "Page " (self.page) " of " (self.last()) }
                        @if self.page < self.last() { li { a href=(to(self.page + 1)) rel="next" { "Next" } } li { a href=(to(self.last())) { "Last" } } }
                    }
                }
            }
        }
    }
}

/// A field with a few choices: their values and names.
pub(super) fn choice(name: &str, label: &str, options: &[(String, String)], chosen: &str) -> Markup {
    let is_known = options.iter().any(|(value, _)| value == chosen);
    html! {
        div {
            label for=(name) { (label) }
            select id=(name) name=(name) {
                @for (value, text) in options { option value=(value) selected[value == chosen] { (text) } }
                // What is asked for stays asked for, whether or not there is any.
                @if !is_known { option value=(chosen) selected { (chosen) } }
            }
        }
    }
}

/// A field for a text, with what is there.
pub(super) fn text(name: &str, label: &str, known: &[String], value: &str) -> Markup {
    html! {
        div {
            label for=(name) { (label) }
            input id=(name) name=(name) type="text" value=(value) autocomplete="off" list=[(!known.is_empty()).then(|| format!("{name}-known"))];
            @if !known.is_empty() { datalist id={ (name) "-known" } { @for one in known { option value=(one) {} } } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_bounded_and_add_up() {
        let piece = |query: &str, total| Piece::of(&Wish::read("/x", query), total);
        assert_eq!(piece("", 0), Piece { page: 1, size: 50, total: 0 });
        assert_eq!(piece("page=3", 120).sql(), "limit 50 offset 100");
        assert_eq!(piece("page=4", 120).page, 3);
        assert_eq!(piece("page=0", 120).page, 1);
        assert_eq!(piece("page=-1&size=100000", 120), piece("", 120));
        assert_eq!(piece("page=99999999999999999999", 120).page, 1);
        assert_eq!(piece("size=200&page=2", 401).sql(), "limit 200 offset 200");
        let links = piece("page=2", 120).links(&Wish::read("/x", "page=2&a=b")).into_string();
        assert!(links.contains("51–100 of 120") && links.contains("/x?a=b&amp;page=3"), "{links}");
    }
}
