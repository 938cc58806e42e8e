//! Telling how far a run is: bars on a terminal, a JSON object a line elsewhere, or nothing.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use chrono::{SecondsFormat, Utc};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::{Value, json};

/// A table of more lists than this tells each tenth of them.
const LISTS_LONG: usize = 50;

/// Where progress goes.
#[derive(Clone, Debug, Default)]
pub struct Progress(Kind);

#[derive(Clone, Debug, Default)]
enum Kind {
    #[default]
    Silent,
    Lines,
    Bars(MultiProgress),
}

impl Progress {
    /// Nothing.
    pub fn silent() -> Self {
        Self(Kind::Silent)
    }

    /// Bars if stderr is a terminal, else JSON lines: a table begins, goes on, ends.
    pub fn stderr() -> Self {
        if std::io::stderr().is_terminal() { Self(Kind::Bars(MultiProgress::new())) } else { Self(Kind::Lines) }
    }

    /// Bars in somebody else's display.
    pub fn bars(multi: MultiProgress) -> Self {
        Self(Kind::Bars(multi))
    }

    /// A table of which `scopes` lists will be read.
    pub(crate) fn table(&self, source: &str, table: &str, scopes: usize) -> TableProgress {
        let name = (source.to_owned(), table.to_owned());
        let bar = match &self.0 {
            Kind::Bars(multi) => {
                let bar = multi.add(ProgressBar::new(u64::try_from(scopes).unwrap_or(u64::MAX)));
                let style = ProgressStyle::with_template("{prefix:40} {bar:20} {pos}/{len} {msg} {eta}");
                bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> "));
                bar.set_prefix(format!("{source}.{table}"));
                bar.enable_steady_tick(Duration::from_millis(250));
                Some(bar)
            }
            Kind::Silent | Kind::Lines => None,
        };
        let is_line = matches!(self.0, Kind::Lines);
        let progress = TableProgress { name, bar, is_line, began: Instant::now(), lists: scopes, done: 0, rows: 0 };
        if scopes > 0 {
            progress.line("table_begins", 0, None);
        }
        progress
    }
}

/// One table's line.
#[derive(Debug)]
pub(crate) struct TableProgress {
    /// Source and table.
    name: (String, String),
    bar: Option<ProgressBar>,
    is_line: bool,
    began: Instant,
    lists: usize,
    done: usize,
    rows: usize,
}

impl TableProgress {
    /// One more list was read.
    pub(crate) fn scope_done(&mut self, rows: usize, requests: u64, remaining: Option<i64>) {
        self.rows += rows;
        self.done += 1;
        let tenth = (self.lists / 10).max(1);
        if self.lists > LISTS_LONG && self.done.is_multiple_of(tenth) && self.done < self.lists {
            self.line("table_goes_on", requests, remaining);
        }
        if let Some(bar) = &self.bar {
            let rate = remaining.map_or_else(String::new, |left| format!(", quota left {left}"));
            bar.set_message(format!("{} rows, {requests} requests{rate}", self.rows));
            bar.inc(1);
        }
    }

    /// The table is done.
    pub(crate) fn finish(self, requests: u64) {
        if self.lists > 0 {
            self.line("table_ends", requests, None);
        }
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }

    fn line(&self, event: &str, requests: u64, quota_left: Option<i64>) {
        if self.is_line {
            // Progress is a courtesy: a closed stderr does not stop a run.
            let _ = writeln!(std::io::stderr(), "{}", self.event(event, requests, quota_left));
        }
    }

    fn event(&self, event: &str, requests: u64, quota_left: Option<i64>) -> Value {
        let spent = self.began.elapsed().as_secs();
        let left = self.lists.saturating_sub(self.done) as u64;
        let seconds_left = (self.done > 0 && left > 0).then(|| spent * left / self.done as u64);
        json!({
            "at": Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true),
            "event": event,
            "source": self.name.0,
            "table": self.name.1,
            "lists": self.lists,
            "lists_done": self.done,
            "rows": self.rows,
            "requests": requests,
            "quota_left": quota_left,
            "seconds_left": seconds_left,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_says_how_far_a_table_is() {
        let mut progress = Progress::silent().table("procore", "requisitions", 40);
        progress.scope_done(7, 3, Some(20));
        let event = progress.event("table_goes_on", 3, Some(20));
        for (key, value) in [
            ("event", json!("table_goes_on")),
            ("source", json!("procore")),
            ("table", json!("requisitions")),
            ("lists", json!(40)),
            ("lists_done", json!(1)),
            ("rows", json!(7)),
            ("requests", json!(3)),
            ("quota_left", json!(20)),
            ("seconds_left", json!(0)),
        ] {
            assert_eq!(event[key], value, "{key}");
        }
        assert!(!event.to_string().contains('\n'));
    }
}
