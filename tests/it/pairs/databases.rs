//! Pairs with an ERP whose database PostgreSQL stands for: the firm's books are loaded into it before each look.

use std::collections::BTreeSet;
use std::env;
use std::fmt::Write as _;
use std::path::Path;

use tieout::simulator::{Firm, ShownAs, Simulator};

use super::projectsight::projectsight;
use super::{Pair, compare_at_moments_after, decoys, options, procore, write_workspace_of};
use crate::decoys::LISTS_OF_A_PROJECT;
use crate::odbc::server::Postgres;

/// What manages the firm's projects, over REST.
#[derive(Clone, Copy)]
pub(super) enum Management {
    Procore,
    ProjectSight,
}

impl Management {
    /// Its section of tieout.toml, and the files with its secrets. Where all only looks wrong, a project without documents is judged too.
    async fn source(self, simulator: &Simulator, has_decoys: bool) -> (String, [(&'static str, String); 2]) {
        match self {
            Self::Procore if has_decoys => {
                let (section, secrets) = procore(simulator);
                let trust = format!("trust_empty = \"{LISTS_OF_A_PROJECT}\"\n");
                (section.replace("erp_requests = \"yes\"\n", &trust), secrets)
            }
            Self::Procore => procore(simulator),
            Self::ProjectSight => projectsight(simulator).await,
        }
    }
}

/// Such an ERP beside what manages the projects.
pub(super) struct Database {
    pub(super) pair: Pair,
    pub(super) management: Management,
    /// What the other side stores of this ERP's records.
    pub(super) procore: ShownAs,
    /// The firm's books as a script for psql.
    pub(super) script: fn(&Firm) -> String,
    /// The source's section of tieout.toml but its connection, and what follows it there.
    pub(super) section: String,
    pub(super) after: String,
    /// Files beside tieout.toml: their names and what they hold.
    pub(super) files: Vec<(&'static str, String)>,
    /// How many projects the firm has.
    pub(super) projects: u32,
    /// The firms that always run; `TIEOUT_PAIR_SEEDS=1,2,…` gives others.
    pub(super) seeds: &'static str,
    /// What those firms show of what the two can show.
    pub(super) shown: &'static [&'static str],
}

/// The file that holds the connection.
const CONNECTION: &str = "database_connection";

impl Database {
    /// What is found is what was injected, in each firm.
    pub(super) async fn tells_what_went_wrong(&self) {
        let seeds = env::var("TIEOUT_PAIR_SEEDS").unwrap_or_else(|_| self.seeds.to_owned());
        let server = Postgres::start();
        let (mut all, mut differences) = (BTreeSet::new(), String::new());
        for seed in seeds.split(',') {
            let (shown, told) = self.compare_firm(seed.trim().parse().unwrap(), &server).await;
            all.extend(shown);
            differences += &told;
        }
        let missing: Vec<&&str> = self.shown.iter().filter(|check| !all.contains(**check)).collect();
        if seeds == self.seeds && !missing.is_empty() {
            writeln!(differences, "the seeds {seeds} do not show {missing:?}, but {all:?}").unwrap();
        }
        assert!(differences.is_empty(), "found and injected differ:\n{differences}");
    }

    async fn compare_firm(&self, seed: u64, server: &Postgres) -> (BTreeSet<String>, String) {
        let simulator = Simulator::start(options(seed, 7, self.projects)).await.unwrap();
        simulator.show_procore_as(self.procore);
        let folder = tempfile::tempdir().unwrap();
        self.write_workspace(folder.path(), &simulator, server, false).await;
        let place = format!("seed {seed}");
        let load = |firm: &Firm, _: &str| server.load(&(self.script)(firm));
        let (shown, mut differences) =
            compare_at_moments_after(self.pair, &simulator, folder.path(), &place, load).await;
        if !differences.is_empty() {
            writeln!(differences, "{place}: see {}", folder.keep().display()).unwrap();
        }
        (shown, differences)
    }

    /// Nothing is told of firms in which all only looks wrong, but what `without` takes out of it. `TIEOUT_DECOY_SEEDS=1,2,…` gives
    /// other firms.
    pub(super) async fn tells_nothing_that_only_looks_wrong(&self, without: impl Fn(&str, &Firm) -> String) {
        let seeds = env::var("TIEOUT_DECOY_SEEDS").unwrap_or_else(|_| decoys::SEEDS.to_owned());
        let server = Postgres::start();
        let mut alarms = String::new();
        for seed in seeds.split(',') {
            alarms += &self.false_alarms(seed.trim().parse().unwrap(), &server, &without).await;
        }
        assert!(alarms.is_empty(), "false alarms:\n{alarms}");
    }

    async fn false_alarms(&self, seed: u64, server: &Postgres, without: impl Fn(&str, &Firm) -> String) -> String {
        let simulator = Simulator::start(decoys::options(seed)).await.unwrap();
        simulator.show_procore_as(self.procore);
        let folder = tempfile::tempdir().unwrap();
        self.write_workspace(folder.path(), &simulator, server, true).await;
        let load = |firm: &Firm| server.load(&(self.script)(firm));
        let alarms = decoys::false_alarms_loaded(self.pair, &simulator, folder.path(), &load).await;
        let mut alarms = without(&alarms, &simulator.firm());
        if !alarms.is_empty() {
            writeln!(alarms, "seed {seed}: see {}", folder.keep().display()).unwrap();
        }
        alarms
    }

    async fn write_workspace(&self, folder: &Path, simulator: &Simulator, server: &Postgres, has_decoys: bool) {
        let (management, secrets) = self.management.source(simulator, has_decoys).await;
        let connection = server.connection();
        let mut files: Vec<(&str, &str)> = secrets.iter().map(|(name, text)| (*name, text.as_str())).collect();
        files.extend(self.files.iter().map(|(name, text)| (*name, text.as_str())));
        files.push((CONNECTION, connection.as_str()));
        let section = format!("{}connection = {{ file = \"{CONNECTION}\" }}\n", self.section);
        write_workspace_of(folder, &[management, section, self.after.clone()], &files);
    }
}
