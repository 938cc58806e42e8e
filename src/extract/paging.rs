//! Paging as a pure function of what was received: which request comes next, and whether the list is complete.
//!
//! Invariants: the next request always goes to our base URL (only path and query of a `next` link are used, so a token
//! never reaches another host); a page that repeats an earlier one ends the loop; a total that is not reached makes the
//! list partial. Pages by offset overlap by one record: where it is not met again, records have moved across the
//! boundary, and one that still exists would be missing.

use std::collections::BTreeSet;

use url::Url;

use super::manifest::Paging;

/// Pages of one list that are read before it is called endless.
const PAGES_MAX: usize = 20_000;

/// Servers cap pages at multiples of it.
const ROUND: u64 = 5;

/// What a page told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Page {
    /// Records in it.
    pub records: usize,
    /// A hash of its records, to recognise a repeated page.
    pub digest: String,
    /// What identifies each record.
    pub keys: Vec<String>,
    /// Whether the answer had a `Link` header.
    pub has_link: bool,
    /// Path and query of the link `next`.
    pub next: Option<String>,
    /// The total that the source told.
    pub total: Option<u64>,
    /// The page size that the source told, which may be less than what was asked for.
    pub size: Option<u64>,
    /// Whether the source told that there are more records.
    pub more: Option<bool>,
}

/// What to request next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// The table's own path and query with these parameters added.
    Parameters(Vec<(String, String)>),
    /// This path and query instead.
    Link(String),
    /// Nothing: all was read.
    Complete,
    /// From the start again: records moved while the list was read.
    Moved,
    /// Nothing: the list cannot be read to its end.
    Broken(String),
}

/// The state of reading one list.
#[derive(Debug)]
pub(crate) struct Pager<'a> {
    paging: &'a Paging,
    pages: usize,
    records: u64,
    last: Option<String>,
    seen: BTreeSet<String>,
    total: Option<u64>,
    is_guess: bool,
    /// The size of pages by offset, where the source gives fewer than asked for.
    capped_at: Option<u64>,
    moved: Option<String>,
}

impl<'a> Pager<'a> {
    /// A list not yet begun.
    pub(crate) fn new(paging: &'a Paging) -> Self {
        Self {
            paging,
            pages: 0,
            records: 0,
            last: None,
            seen: BTreeSet::new(),
            total: None,
            is_guess: false,
            capped_at: None,
            moved: None,
        }
    }

    /// Parameters of the first request.
    pub(crate) fn first(&self) -> Vec<(String, String)> {
        self.parameters(1, None)
    }

    /// Parameters of a request for one record only.
    pub(crate) fn probe(&self) -> Vec<(String, String)> {
        self.parameters(1, Some(1))
    }

    /// The newest total that the source told.
    pub(crate) fn total(&self) -> Option<u64> {
        self.total
    }

    /// How the list changed while it was read, if it did: a page by number then skips or repeats records.
    pub(crate) fn moved(&self) -> Option<&str> {
        self.moved.as_deref()
    }

    /// Whether the page just received repeats one; its records add nothing.
    pub(crate) fn is_repeated(&self, page: &Page) -> bool {
        page.records > 0 && self.seen.contains(&page.digest)
    }

    /// How many records at the page's front are the end of the page before.
    pub(crate) fn overlap(&self, page: &Page) -> usize {
        usize::from(self.last.is_some() && self.last.as_ref() == page.keys.first())
    }

    /// Takes a page and says what comes next.
    pub(crate) fn next(&mut self, page: &Page) -> Next {
        self.pages += 1;
        if let (Some(before), Some(now)) = (self.total, page.total)
            && before != now
        {
            self.moved = Some(format!("the list changed while it was read: it told {before} records, then {now}"));
        }
        self.total = page.total.or(self.total);
        if self.is_repeated(page) {
            return self.repeated();
        }
        self.seen.insert(page.digest.clone());
        self.records += u64::try_from(page.records).unwrap_or(u64::MAX);
        if self.pages >= PAGES_MAX {
            return Next::Broken(format!("the list has no end: {PAGES_MAX} pages were read"));
        }
        match self.paging {
            Paging::None => Next::Complete,
            Paging::Offset { top: size, .. } | Paging::Body { per_page: size, .. } => self.after_offset(page, *size),
            Paging::LinkHeader { per_page, .. } => self.after_link(page, *per_page),
        }
    }

    fn repeated(&self) -> Next {
        let is_ignored = self.pages == 2 && self.is_guess;
        if is_ignored {
            // The source knows no pages here and gives the whole list each time; nothing promised a second page.
            return Next::Complete;
        }
        Next::Broken(format!("page {} repeats an earlier one", self.pages))
    }

    fn after_offset(&mut self, page: &Page, top: u64) -> Next {
        let received = u64::try_from(page.records).unwrap_or(u64::MAX);
        if self.last.as_ref().is_some_and(|last| !page.keys.contains(last)) {
            return Next::Moved;
        }
        if let Some(more) = page.more {
            return match (more, received) {
                (false, _) => Next::Complete,
                (true, 0) => Next::Broken("an empty page tells of more".to_owned()),
                (true, _) => self.after_overlap(page, top),
            };
        }
        // A cap of the source is a round number: the first page that is one may be cut off there.
        let is_cap = self.pages == 1 && received < top && received > 1 && received.is_multiple_of(ROUND);
        if is_cap {
            self.capped_at = Some(received);
        }
        // Longer than asked for: the source ignores the size and gave the whole list.
        if received > top || received < self.capped_at.unwrap_or(top) {
            return Next::Complete;
        }
        self.is_guess = is_cap;
        self.after_overlap(page, top)
    }

    fn after_overlap(&mut self, page: &Page, top: u64) -> Next {
        // A page of one record has none to spare.
        self.last = page.keys.last().filter(|_| top > 1 && page.records > 1).cloned();
        self.records -= u64::from(self.last.is_some());
        Next::Parameters(self.parameters(0, None))
    }

    fn after_link(&mut self, page: &Page, per_page: u64) -> Next {
        if let Some(next) = &page.next {
            self.is_guess = false;
            return Next::Link(next.clone());
        }
        let records = u64::try_from(page.records).unwrap_or(u64::MAX);
        let is_full = records >= page.size.map_or(per_page, |size| size.min(per_page));
        // Told nothing, and a round number: a cap of 30 or 50 looks the same as a list that ends there.
        let is_cap = page.size.is_none() && records.is_multiple_of(ROUND);
        // A full page goes on whatever the total says: it may be too low.
        let is_worth_it = (is_full || self.total.map_or(is_cap, |total| self.records < total)) && page.records > 0;
        // No link at all: many lists page without saying so. A full page, or a total not yet reached, is worth a try.
        if !page.has_link && is_worth_it {
            self.is_guess = true;
            return Next::Parameters(self.parameters(self.pages + 1, None));
        }
        Next::Complete
    }

    fn parameters(&self, page: usize, size: Option<u64>) -> Vec<(String, String)> {
        match self.paging {
            Paging::None => Vec::new(),
            Paging::LinkHeader { page_parameter, per_page_parameter, per_page, .. } => vec![
                (page_parameter.clone(), page.to_string()),
                (per_page_parameter.clone(), size.unwrap_or(*per_page).to_string()),
            ],
            Paging::Offset { top_parameter, skip_parameter, top, .. } => vec![
                (top_parameter.clone(), size.unwrap_or(*top).to_string()),
                (skip_parameter.clone(), self.records.to_string()),
            ],
            Paging::Body { size: size_field, start, first, per_page, .. } => vec![
                (size_field.clone(), size.unwrap_or(*per_page).to_string()),
                (start.clone(), (self.records + first).to_string()),
            ],
        }
    }
}

/// Path and query of the link `next` in a `Link` header, seen from the URL it came with. The host is dropped on purpose.
pub(crate) fn next_link(header: &str, current: &Url) -> Option<String> {
    for part in split_links(header) {
        let (target, attributes) = part.trim().strip_prefix('<')?.split_once('>')?;
        let is_next = attributes.split(';').filter_map(|attribute| attribute.split_once('=')).any(|(name, value)| {
            let mut relations = value.trim().trim_matches('"').split_ascii_whitespace();
            name.trim().eq_ignore_ascii_case("rel") && relations.any(|rel| rel.eq_ignore_ascii_case("next"))
        });
        if is_next {
            let url = current.join(target).ok()?;
            return Some(url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path())));
        }
    }
    None
}

/// Splits at commas that stand outside `<…>`: queries may hold commas.
fn split_links(header: &str) -> Vec<&str> {
    let mut is_inside = false;
    header
        .split(|c: char| {
            match c {
                '<' => is_inside = true,
                '>' => is_inside = false,
                _ => {}
            }
            c == ',' && !is_inside
        })
        .filter(|part| !part.trim().is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn links(per_page: u64) -> Paging {
        let total_header = Some("Total".into());
        Paging::LinkHeader {
            page_parameter: "page".into(),
            per_page_parameter: "per_page".into(),
            per_page,
            total_header,
            size_header: None,
        }
    }

    fn offset(top: u64) -> Paging {
        Paging::Offset { top_parameter: "$top".into(), skip_parameter: "$skip".into(), top, more: None, total: None }
    }

    fn page(records: usize, digest: &str) -> Page {
        let keys = (0..records).map(|place| format!("{digest}{place}")).collect();
        Page { records, digest: digest.into(), keys, ..Page::default() }
    }

    #[test]
    fn the_next_link_keeps_only_path_and_query() {
        let here = Url::parse("http://127.0.0.1:9/rest/v1.0/x?page=1").unwrap();
        let header = r#"<https://api.procore.com/rest/v1.0/x?page=1>; rel="first", <https://evil.example/rest/v1.0/x?page=2&a=1,2>; rel="next""#;
        assert_eq!(next_link(header, &here).as_deref(), Some("/rest/v1.0/x?page=2&a=1,2"));
        assert_eq!(next_link("</y?page=3>; rel=next", &here).as_deref(), Some("/y?page=3"));
        assert_eq!(next_link(r#"<https://a/b>; rel="last""#, &here), None);
        assert_eq!(next_link("nonsense", &here), None);
    }

    #[test]
    fn a_full_page_without_any_link_is_tried_once_more() {
        let paging = links(2);
        let mut pager = Pager::new(&paging);
        let next = pager.next(&page(2, "a"));
        assert_eq!(next, Next::Parameters(vec![("page".into(), "2".into()), ("per_page".into(), "2".into())]));
        assert_eq!(pager.next(&page(2, "a")), Next::Complete, "the source knows no pages");
    }

    #[test]
    fn a_linked_page_that_repeats_is_broken() {
        let paging = links(2);
        let mut pager = Pager::new(&paging);
        let linked = Page { has_link: true, next: Some("/x?page=2".into()), ..page(2, "a") };
        assert_eq!(pager.next(&linked), Next::Link("/x?page=2".into()));
        assert!(matches!(pager.next(&linked), Next::Broken(_)));
    }

    #[test]
    fn a_total_not_reached_asks_on_without_links() {
        let paging = links(100);
        let mut pager = Pager::new(&paging);
        let capped = Page { total: Some(5), ..page(3, "a") };
        assert!(matches!(pager.next(&capped), Next::Parameters(_)));
        assert_eq!(pager.next(&Page { total: Some(5), ..page(2, "b") }), Next::Complete);
    }

    #[test]
    fn a_page_as_large_as_the_source_gives_is_full() {
        let paging = links(100);
        let capped = Page { size: Some(3), ..page(3, "a") };
        assert!(matches!(Pager::new(&paging).next(&capped), Next::Parameters(_)));
        let short = Page { size: Some(100), ..page(30, "a") };
        assert_eq!(Pager::new(&paging).next(&short), Next::Complete);
        let empty = Page { size: Some(100), ..page(0, "") };
        assert_eq!(Pager::new(&paging).next(&empty), Next::Complete);
    }

    #[test]
    fn a_round_page_without_a_word_of_its_size_is_tried_once_more() {
        let paging = links(100);
        assert!(matches!(Pager::new(&paging).next(&page(30, "a")), Next::Parameters(_)));
        assert_eq!(Pager::new(&paging).next(&page(31, "a")), Next::Complete);
        assert_eq!(Pager::new(&paging).next(&page(0, "a")), Next::Complete);
    }

    #[test]
    fn a_total_that_changes_between_pages_is_told() {
        let paging = links(2);
        let mut pager = Pager::new(&paging);
        pager.next(&Page { total: Some(3), next: Some("/x?page=2".into()), has_link: true, ..page(2, "a") });
        assert_eq!(pager.moved(), None);
        pager.next(&Page { total: Some(2), has_link: true, ..page(0, "b") });
        assert!(pager.moved().is_some_and(|moved| moved.contains("3 records, then 2")));
    }

    #[test]
    fn a_source_that_ignores_the_offset_is_broken() {
        let paging = offset(2);
        let mut pager = Pager::new(&paging);
        assert!(matches!(pager.next(&page(2, "a")), Next::Parameters(_)));
        assert!(matches!(pager.next(&page(2, "a")), Next::Broken(_)));
    }

    #[test]
    fn a_source_that_gives_fewer_than_asked_for_is_read_on() {
        let paging = offset(500);
        let keys = |from: usize, to: usize| Page {
            records: to - from,
            digest: format!("{from}-{to}"),
            keys: (from..to).map(|key| key.to_string()).collect(),
            ..Page::default()
        };
        let at = |skip: &str| Next::Parameters(vec![("$top".into(), "500".into()), ("$skip".into(), skip.into())]);
        let mut pager = Pager::new(&paging);
        assert_eq!(pager.next(&keys(0, 100)), at("99"));
        assert_eq!(pager.next(&keys(99, 199)), at("198"));
        assert_eq!(pager.next(&keys(198, 230)), Next::Complete);
        let mut pager = Pager::new(&paging);
        assert_eq!(pager.next(&keys(0, 100)), at("99"));
        assert_eq!(pager.next(&keys(99, 100)), Next::Complete, "it ended there");
        let mut pager = Pager::new(&paging);
        assert_eq!(pager.next(&keys(0, 100)), at("99"));
        assert_eq!(pager.next(&keys(0, 100)), Next::Complete, "it knows no offset");
        assert_eq!(Pager::new(&paging).next(&keys(0, 99)), Next::Complete);
    }

    #[test]
    fn a_source_that_tells_of_more_is_believed() {
        let paging = offset(500);
        let told = |from: usize, to: usize, more: bool| Page {
            records: to - from,
            digest: format!("{from}-{to}"),
            keys: (from..to).map(|key| key.to_string()).collect(),
            more: Some(more),
            ..Page::default()
        };
        let at = |skip: &str| Next::Parameters(vec![("$top".into(), "500".into()), ("$skip".into(), skip.into())]);
        let mut pager = Pager::new(&paging);
        assert_eq!(pager.next(&told(0, 17, true)), at("16"), "a short page is not the last");
        assert_eq!(pager.next(&told(16, 33, true)), at("32"));
        assert_eq!(pager.next(&told(32, 33, true)), at("33"), "one record has none to spare");
        assert_eq!(pager.next(&told(33, 34, false)), Next::Complete);
        assert_eq!(Pager::new(&paging).next(&told(0, 500, false)), Next::Complete, "a full page may be the last");
        assert!(matches!(Pager::new(&paging).next(&told(0, 0, true)), Next::Broken(_)));
    }

    #[test]
    fn a_total_that_is_too_low_ends_no_list() {
        let paging = links(100);
        let told = |records: usize, digest: &str| Page { total: Some(100), size: Some(100), ..page(records, digest) };
        let mut pager = Pager::new(&paging);
        assert!(matches!(pager.next(&told(100, "a")), Next::Parameters(_)));
        assert_eq!(pager.next(&told(37, "b")), Next::Complete);
    }

    #[test]
    fn a_record_that_vanished_from_an_earlier_page_is_noticed() {
        let paging = offset(3);
        let keys = |keys: &[&str]| Page {
            records: keys.len(),
            digest: keys.concat(),
            keys: keys.iter().map(|key| (*key).to_owned()).collect(),
            ..Page::default()
        };
        let mut pager = Pager::new(&paging);
        let second = Next::Parameters(vec![("$top".into(), "3".into()), ("$skip".into(), "2".into())]);
        assert_eq!(pager.next(&keys(&["a", "b", "c"])), second);
        assert_eq!(pager.next(&keys(&["c", "d"])), Next::Complete);
        let mut pager = Pager::new(&paging);
        assert_eq!(pager.next(&keys(&["a", "b", "c"])), second);
        assert_eq!(pager.next(&keys(&["d", "e"])), Next::Moved, "one of the first three is gone");
        let mut pager = Pager::new(&paging);
        assert_eq!(pager.next(&keys(&["a", "b", "c"])), second);
        assert_eq!(pager.next(&keys(&["b", "c"])), Next::Complete, "one more came in front: nothing is missed");
    }

    proptest! {
        /// Any list, any page size: offset paging reads every record once and stops.
        #[test]
        fn offset_paging_reads_everything(total in 0_usize..200, top in 1_u64..20) {
            let paging = offset(top);
            let mut pager = Pager::new(&paging);
            let mut parameters = pager.first();
            let mut read = 0;
            for _ in 0..300 {
                let skip: usize = parameters.iter().find(|(name, _)| name == "$skip").unwrap().1.parse().unwrap();
                prop_assert!(skip <= read, "nothing is passed over");
                let size = total.saturating_sub(skip).min(usize::try_from(top).unwrap());
                read = skip + size;
                let keys = (skip..read).map(|place| place.to_string()).collect();
                match pager.next(&Page { keys, ..page(size, &format!("{skip}+{size}")) }) {
                    Next::Parameters(next) => parameters = next,
                    other => { prop_assert_eq!(other, Next::Complete); break; }
                }
            }
            prop_assert_eq!(read, total);
        }

        /// Whatever the server answers, the loop ends, and repeats are noticed.
        #[test]
        fn every_loop_ends(digests in prop::collection::vec("[a-c]", 8), linked: bool) {
            let paging = links(1);
            let mut pager = Pager::new(&paging);
            let mut ended = false;
            for digest in digests {
                let next = linked.then(|| "/x".to_owned());
                let answer = pager.next(&Page { has_link: linked, next, ..page(1, &digest) });
                if matches!(answer, Next::Complete | Next::Broken(_)) { ended = true; break; }
            }
            prop_assert!(ended, "three digests cannot fill eight pages without a repeat");
        }
    }
}
