//! Names as weighed words, and how alike two of them are.

use std::collections::HashMap;
use std::ops::Deref;

/// Words less alike than this have nothing to do with each other.
const WORD_MIN: f64 = 0.88;
/// Names written together or apart: `mc donald` and `mcdonald`. Something less than the same words.
const JOINED_SHARE: f64 = 0.95;

/// Jaro-Winkler similarity of two words, 0 to 1: Jaro's with half the transpositions, rounded down, and if that is above 0.7, raised
/// by a tenth of the rest for each of up to four equal first letters (Winkler 1990).
pub fn jaro_winkler(one: &str, other: &str) -> f64 {
    if one.is_ascii() && other.is_ascii() {
        return rapidfuzz::distance::jaro_winkler::similarity(one.bytes(), other.bytes());
    }
    rapidfuzz::distance::jaro_winkler::similarity(one.chars(), other.chars())
}

/// A word of a name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Word<'a> {
    pub(crate) text: &'a str,
    /// Together a name's weights have length 1.
    weight: f64,
    /// Which letters it has, a bit for each.
    letters: u32,
    /// How many letters it has.
    length: u32,
}

/// A name as its words, each once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Name<'a> {
    pub(crate) words: Vec<Word<'a>>,
    joined: String,
}

/// All names of both lists.
#[derive(Debug)]
pub(crate) struct Names<'a> {
    names: Vec<Name<'a>>,
}

impl<'a> Names<'a> {
    /// Weighs the words of all names against each other.
    #[expect(clippy::cast_precision_loss, reason = "counts of companies")]
    pub(crate) fn new(names: impl Iterator<Item = &'a str>) -> Self {
        let split: Vec<Vec<&'a str>> = names.map(words).collect();
        let mut holders: HashMap<&str, usize> = HashMap::new();
        for word in split.iter().flatten() {
            *holders.entry(word).or_default() += 1;
        }
        let all = split.len() as f64;
        let weight = |word: &str| (1.0 + all / holders.get(word).copied().unwrap_or(1) as f64).ln();
        let weigh = |words: Vec<&'a str>| {
            let length = words.iter().map(|word| weight(word).powi(2)).sum::<f64>().sqrt();
            let word = |text: &&'a str| Word {
                text,
                weight: weight(text) / length,
                letters: letters(text),
                length: u32::try_from(text.chars().count()).unwrap_or(u32::MAX),
            };
            Name { words: words.iter().map(word).collect(), joined: words.concat() }
        };
        Self { names: split.into_iter().map(weigh).collect() }
    }
}

impl Name<'_> {
    /// How alike two names of one weighing are, 0 to 1.
    pub(crate) fn likeness(&self, other: &Self) -> f64 {
        if self.words.is_empty() || other.words.is_empty() {
            return 0.0;
        }
        let mut taken = vec![false; other.words.len()];
        let mut alike = 0.0;
        for word in &self.words {
            let free = other.words.iter().zip(&mut taken).filter(|(_, taken)| !**taken);
            let like = free.filter_map(|(their, taken)| Some((word.likeness(their)?, their.weight, taken)));
            if let Some((likeness, weight, taken)) = like.max_by(|one, other| one.0.total_cmp(&other.0)) {
                *taken = true;
                alike += word.weight * weight * likeness;
            }
        }
        let joined = if self.joined == other.joined { JOINED_SHARE } else { 0.0 };
        f64::max(alike, joined).min(1.0)
    }
}

impl Word<'_> {
    /// How alike two words are, if they are enough. A number is the same or another one: Local 12 is not Local 13.
    fn likeness(&self, other: &Self) -> Option<f64> {
        if self.text == other.text {
            return Some(1.0);
        }
        let is_number = |word: &Self| word.text.bytes().any(|byte| byte.is_ascii_digit());
        if !self.may_be_like(other) || is_number(self) || is_number(other) {
            return None;
        }
        Some(jaro_winkler(self.text, other.text)).filter(|likeness| *likeness >= WORD_MIN)
    }

    /// Whether enough letters are in both. Winkler's bonus is at most 0.4 of what Jaro leaves, so Jaro must reach
    /// 1 - (1 - `WORD_MIN`) / 0.6; of its three terms the last is at most 1. A letter that one word has and the other has not
    /// is matched by none.
    fn may_be_like(&self, other: &Self) -> bool {
        let own = self.length.saturating_sub((self.letters & !other.letters).count_ones());
        let their = other.length.saturating_sub((other.letters & !self.letters).count_ones());
        let matched = f64::from(own.min(their));
        let jaro_min = 1.0 - (1.0 - WORD_MIN) / 0.6;
        matched / f64::from(self.length) + matched / f64::from(other.length)
            >= 3.0 * jaro_min - 1.0 - f64::EPSILON * 8.0
    }
}

impl<'a> Deref for Names<'a> {
    type Target = [Name<'a>];

    fn deref(&self) -> &Self::Target {
        &self.names
    }
}

/// A bit for each letter; those beyond the alphabet share some.
fn letters(word: &str) -> u32 {
    let bit = |letter: char| match letter {
        'a'..='z' => letter as u32 - 'a' as u32,
        _ => 26 + letter as u32 % 6,
    };
    word.chars().fold(0, |letters, letter| letters | 1 << bit(letter))
}

/// Each word once.
fn words(name: &str) -> Vec<&str> {
    let mut words: Vec<&str> = Vec::new();
    for word in name.split_whitespace() {
        if !words.contains(&word) {
            words.push(word);
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jaro_winkler_is_the_published_one() {
        let rounded = |one, other| format!("{:.3}", jaro_winkler(one, other));
        assert_eq!(rounded("martha", "marhta"), "0.961");
        assert_eq!(rounded("dixon", "dicksonx"), "0.813");
        assert_eq!(rounded("dwayne", "duane"), "0.840");
        assert_eq!(rounded("abc", "xyz"), "0.000");
    }

    #[test]
    fn names_are_alike_by_their_words_in_any_order() {
        let names = Names::new(
            ["smith john", "john smith", "mc donald", "mcdonald", "local 12", "local 13", "jon smith", "north", ""]
                .into_iter(),
        );
        let like = |one: usize, other: usize| format!("{:.2}", names[one].likeness(&names[other]));
        assert_eq!(like(0, 1), "1.00");
        assert_eq!(like(2, 3), "0.95");
        assert!(names[4].likeness(&names[5]) < 0.6);
        assert!(names[1].likeness(&names[6]) > 0.9);
        assert_eq!(like(1, 7), "0.00");
        assert_eq!(like(8, 8), "0.00");
        assert_eq!(like(6, 1), like(1, 6));
    }

    #[test]
    fn what_is_ruled_out_by_its_letters_is_not_alike() {
        let words = [
            "electric",
            "elec",
            "electrical",
            "eclectic",
            "halvorsen",
            "halverson",
            "ab",
            "ba",
            "müller",
            "muller",
            "x",
        ];
        let names = Names::new(words.into_iter());
        for one in names.iter() {
            for other in names.iter() {
                let (one, other) = (one.words[0], other.words[0]);
                let alike = jaro_winkler(one.text, other.text);
                assert!(one.may_be_like(&other) || alike < WORD_MIN, "{} {}", one.text, other.text);
            }
        }
    }
}
