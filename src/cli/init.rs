//! `tieout init`: a commented `tieout.toml` and the folders beside it. Nothing that exists is overwritten.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;

use super::Failure;

/// Arguments of `init`.
#[derive(Args, Debug)]
pub(super) struct InitArguments {
    /// The folder, created if it is not there
    #[arg(default_value = ".")]
    directory: PathBuf,
}

const SETTINGS: &str = include_str!("init/tieout.toml");
const ENVIRONMENT: &str = include_str!("init/env.example");
const CROSSWALK: &str = "pm_id,erp_id,note\n";

pub(super) fn run(arguments: &InitArguments) -> Result<u8, Failure> {
    let directory = &arguments.directory;
    let settings = directory.join("tieout.toml");
    if settings.exists() {
        return Err(Failure::usage(anyhow::anyhow!(
            "{} is there already: nothing was changed\nhint: name another folder: tieout init DIR",
            settings.display()
        )));
    }
    write_workspace(directory).map_err(Failure::usage)?;
    let mut out = std::io::stdout().lock();
    let place = if directory.as_os_str() == "." { String::new() } else { format!("cd {} && ", directory.display()) };
    let text = format!(
        "wrote {}\n\nnext:\n  \
         fill in [sources.…] in tieout.toml; drop a source that you do not have\n  \
         cp .env.example .env, fill in the secrets, and load them: set -a; . ./.env; set +a\n  \
         {place}tieout check\n  \
         {place}tieout extract",
        settings.display()
    );
    writeln!(out, "{text}").map_err(Failure::usage)?;
    Ok(0)
}

fn write_workspace(directory: &Path) -> anyhow::Result<()> {
    for folder in ["", "crosswalks", "extractors", "queries"] {
        let path = directory.join(folder);
        fs::create_dir_all(&path).with_context(|| format!("create {}", path.display()))?;
    }
    write_new(&directory.join("tieout.toml"), SETTINGS)?;
    write_new(&directory.join(".env.example"), ENVIRONMENT)?;
    write_new(&directory.join("crosswalks/vendors.csv"), CROSSWALK)
}

fn write_new(path: &Path, text: &str) -> anyhow::Result<()> {
    if path.exists() {
        return Ok(());
    }
    fs::write(path, text).with_context(|| format!("write {}", path.display()))
}
