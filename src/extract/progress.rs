//! Telling a person how far a run is: bars on a terminal, plain lines elsewhere, or nothing.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

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

    /// Bars if stderr is a terminal, else a line per finished table.
    pub fn stderr() -> Self {
        if std::io::stderr().is_terminal() { Self(Kind::Bars(MultiProgress::new())) } else { Self(Kind::Lines) }
    }

    /// Bars in somebody else's display.
    pub fn bars(multi: MultiProgress) -> Self {
        Self(Kind::Bars(multi))
    }

    /// A table of which `scopes` lists will be read.
    pub(crate) fn table(&self, source: &str, table: &str, scopes: usize) -> TableProgress {
        let name = format!("{source}.{table}");
        let bar = match &self.0 {
            Kind::Bars(multi) => {
                let bar = multi.add(ProgressBar::new(u64::try_from(scopes).unwrap_or(u64::MAX)));
                let style = ProgressStyle::with_template("{prefix:40} {bar:20} {pos}/{len} {msg} {eta}");
                bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> "));
                bar.set_prefix(name.clone());
                bar.enable_steady_tick(Duration::from_millis(250));
                Some(bar)
            }
            Kind::Silent | Kind::Lines => None,
        };
        TableProgress { name, bar, is_line: matches!(self.0, Kind::Lines), rows: 0 }
    }
}

/// One table's line.
#[derive(Debug)]
pub(crate) struct TableProgress {
    name: String,
    bar: Option<ProgressBar>,
    is_line: bool,
    rows: usize,
}

impl TableProgress {
    /// One more list was read.
    pub(crate) fn scope_done(&mut self, rows: usize, requests: u64, remaining: Option<i64>) {
        self.rows += rows;
        if let Some(bar) = &self.bar {
            let rate = remaining.map_or_else(String::new, |left| format!(", rate left {left}"));
            bar.set_message(format!("{} rows, {requests} requests{rate}", self.rows));
            bar.inc(1);
        }
    }

    /// The table is done.
    pub(crate) fn finish(self, requests: u64) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        } else if self.is_line {
            // Progress is a courtesy: a closed stderr does not stop a run.
            let _ = writeln!(std::io::stderr(), "{}: {} rows, {requests} requests", self.name, self.rows);
        }
    }
}
