//! Status words that no canonical view knows: treated as pending, and told as drift once.
//!
//! The words of a raw table are those that the views which read it name, in their header's `statuses` or in their SQL, and
//! those that the firm maps where such a view asks it (`firm_status`).

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{AsArray, RecordBatch};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use crate::definitions::{Definitions, SHARED};
use crate::engine::{FirmWords, firm_status};
use crate::extract::{PreviousTables, SourceOutcome};
use crate::warehouse::rows::{Drift, TableInput};

/// The column that holds status words.
const COLUMN: &str = "status";

/// Words of one table that are told, at most: beyond it the column holds no words.
const WORDS_MAX: usize = 50;

/// Tells the unknown status words of a run, but those that were told before.
pub(super) fn tell(
    outcome: &mut SourceOutcome,
    definitions: &Definitions,
    firm: &BTreeMap<String, FirmWords>,
    previous: &PreviousTables,
) {
    let firm = firm.get(&outcome.run.source).cloned().unwrap_or_default();
    let known = known(definitions, &outcome.run.system, &firm);
    for input in &mut outcome.tables {
        let Some(words) = known.get(&input.table) else { continue };
        let unknown: Vec<String> =
            seen(input).into_iter().filter(|word| !words.contains(&word.trim().to_lowercase())).collect();
        let told = previous.tables.get(&input.table).and_then(|table| table.drift.get(COLUMN));
        for word in unknown.into_iter().take(WORDS_MAX) {
            let detail = format!("records have the status `{word}`, which no view knows: it counts as pending");
            if told.is_none_or(|details| !details.contains(&detail)) {
                input.drift.push(Drift { field: COLUMN.to_owned(), kind: "word".to_owned(), detail });
            }
        }
    }
}

/// The words in a run's rows.
fn seen(input: &TableInput) -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    let mut add = |batch: &RecordBatch| {
        let column = batch.column_by_name(COLUMN).and_then(|column| column.as_string_opt::<i32>());
        let new = column.into_iter().flatten().flatten().filter(|word| !word.trim().is_empty());
        words.extend(new.map(str::to_owned));
    };
    // Rows on the disk that cannot be read are no end here: the commit reads them all, and says so.
    let on_disk = input.spooled.as_ref().and_then(|spooled| spooled.read(|name| name == COLUMN).ok());
    on_disk.into_iter().flatten().map_while(Result::ok).for_each(|batch| add(&batch));
    input.batches.iter().for_each(add);
    words
}

/// The words that views know, and the firm, in small letters, by the raw table that they read.
fn known(definitions: &Definitions, system: &str, firm: &FirmWords) -> BTreeMap<String, BTreeSet<String>> {
    let folder = format!("extractors/{system}/canonical/");
    let mut known: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut has_words: BTreeSet<String> = BTreeSet::new();
    for (_, text) in definitions.files.iter().filter(|(path, _)| path.starts_with(&folder)) {
        let text = with_shared(definitions, system, text);
        let header = text.lines().filter_map(|line| line.strip_prefix("-- statuses:"));
        let named: BTreeSet<String> =
            header.flat_map(|words| words.split(',')).map(|word| word.trim().to_lowercase()).collect();
        let tokens = tokens(&text);
        let quoted = tokens.iter().filter_map(|token| match token {
            Token::SingleQuotedString(word) => Some(word.trim().to_lowercase()),
            _ => None,
        });
        let words: BTreeSet<String> = quoted.chain(named.iter().cloned()).collect();
        for table in tables_of("source", &tokens) {
            if !named.is_empty() {
                has_words.insert(table.clone());
            }
            known.entry(table).or_default().extend(words.iter().cloned());
        }
        for table in asked(&tokens) {
            let words = firm.of(&table).into_keys().map(str::to_owned).collect::<Vec<_>>();
            known.entry(table).or_default().extend(words);
        }
    }
    known.retain(|table, _| has_words.contains(table));
    known
}

/// A view with what it shares with others below it.
fn with_shared(definitions: &Definitions, system: &str, text: &str) -> String {
    let named =
        tables_of(SHARED, &tokens(text)).filter_map(|name| definitions.shared(system, &name)).collect::<Vec<_>>();
    named.into_iter().fold(text.to_owned(), |whole, (_, shared)| whole + "\n" + shared)
}

/// What a view says, without blanks and comments: an apostrophe in a sentence is no quote. Nothing of one that cannot be read:
/// it is told as a problem of its own.
fn tokens(text: &str) -> Vec<Token> {
    let tokens = Tokenizer::new(&PostgreSqlDialect {}, text).tokenize().unwrap_or_default();
    tokens.into_iter().filter(|token| !matches!(token, Token::Whitespace(_))).collect()
}

/// The tables of a schema that a view reads: the raw ones are of `source`.
fn tables_of(schema: &'static str, tokens: &[Token]) -> impl Iterator<Item = String> {
    tokens.windows(3).filter_map(move |tokens| match tokens {
        [Token::Word(word), Token::Period, Token::Word(table)] if word.value == schema => Some(table.value.clone()),
        _ => None,
    })
}

/// The raw tables for whose words a view asks the firm.
fn asked(tokens: &[Token]) -> impl Iterator<Item = String> {
    tokens.windows(3).filter_map(|tokens| match tokens {
        [Token::Word(name), Token::LParen, Token::SingleQuotedString(table)] if name.value == firm_status::NAME => {
            Some(table.clone())
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shipped_views_name_the_words_of_their_tables() {
        let nothing = FirmWords::default();
        let known = known(&Definitions::shipped(), "acumatica", &nothing);
        let bills = &known["bills"];
        assert!(bills.contains("pre-released") && bills.contains("under reclassification"), "{bills:?}");
        assert!(!bills.contains("frobnicated"));
        let known = super::known(&Definitions::shipped(), "procore", &nothing);
        assert!(known["requisitions"].contains("revise_and_resubmit"), "{:?}", known.keys());
    }

    #[test]
    fn an_apostrophe_in_a_comment_is_no_quote() {
        let sql = "-- statuses: Open\n-- A firm's own\n\nselect case status when 'Held' then 'draft' end -- isn't, wasn't, won't\n\
                   from source.bills /* it's */ where kind <> 'it''s'\n-- as in source.others\n";
        let files = BTreeMap::from([("extractors/toy/canonical/vendor_invoices.sql".to_owned(), sql.to_owned())]);
        let known = known(&Definitions { files }, "toy", &FirmWords::default());
        let words: Vec<&str> = known["bills"].iter().map(String::as_str).collect();
        assert_eq!(words, ["draft", "held", "it's", "open"]);
        assert_eq!(known.len(), 1);
    }

    #[test]
    fn words_of_a_shared_text_are_those_of_its_readers() {
        let files = [
            ("extractors/toy/canonical/vendor_invoices.sql", "select * from shared.bills"),
            ("extractors/toy/shared/bills.sql", "-- statuses: Open\nselect 1 from source.bills where status <> 'held'"),
            ("extractors/shared/bills.sql", "-- statuses: Shut\nselect 1 from source.others"),
        ];
        let files = files.map(|(path, text)| (path.to_owned(), text.to_owned())).into();
        let known = known(&Definitions { files }, "toy", &FirmWords::default());
        assert_eq!(known["bills"].iter().map(String::as_str).collect::<Vec<_>>(), ["held", "open"]);
        assert_eq!(known.len(), 1, "the system's own text goes before that of all systems");
    }

    #[test]
    fn what_the_firm_says_is_known_where_a_view_asks_for_it() {
        let pair = |word: &str| BTreeMap::from([(word.to_owned(), "approved".to_owned())]);
        let firm = FirmWords {
            everywhere: pair("frobnicated"),
            tables: BTreeMap::from([("bills".to_owned(), pair("mangled"))]),
        };
        let known = known(&Definitions::shipped(), "acumatica", &firm);
        assert!(known["bills"].contains("frobnicated") && known["bills"].contains("mangled"));
        assert!(known["invoices"].contains("frobnicated") && !known["invoices"].contains("mangled"));
        assert!(!known["vendors"].contains("frobnicated"), "no view would read it");
    }
}
