//! `tieout completions` and `tieout man`: what a shell and `man` know of the commands, written from the commands themselves.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::{Arguments, Failure};

/// Arguments of `completions`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  tieout completions bash > /etc/bash_completion.d/tieout
  tieout completions zsh > \"${fpath[1]}/_tieout\"
  tieout completions fish > ~/.config/fish/completions/tieout.fish")]
pub(super) struct CompletionsArguments {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Arguments of `man`.
#[derive(Args, Debug)]
pub(super) struct ManArguments {
    /// The folder, created if it is not there, such as /usr/local/share/man/man1
    directory: PathBuf,
}

pub(super) fn completions(arguments: &CompletionsArguments) -> Result<u8, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Arguments::command(), "tieout", &mut script);
    std::io::stdout().lock().write_all(&script).map_err(Failure::usage)?;
    Ok(0)
}

/// A page for the program and one for each command, replaced where they are there.
pub(super) fn man(arguments: &ManArguments) -> Result<u8, Failure> {
    let directory = &arguments.directory;
    let doing = || format!("write manual pages into {}", directory.display());
    std::fs::create_dir_all(directory).with_context(doing).map_err(Failure::usage)?;
    clap_mangen::generate_to(Arguments::command(), directory).with_context(doing).map_err(Failure::usage)?;
    // A closed stderr is no reason to fail.
    let _ = writeln!(std::io::stderr(), "{}", directory.display());
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_and_no_argument_contradicts_another() {
        Arguments::command().debug_assert();
        let folder = tempfile::tempdir().unwrap();
        man(&ManArguments { directory: folder.path().join("man1") }).unwrap();
        for command in Arguments::command().get_subcommands() {
            let page = folder.path().join(format!("man1/tieout-{}.1", command.get_name()));
            let text = std::fs::read_to_string(&page).unwrap_or_else(|error| panic!("{}: {error}", page.display()));
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            let first = about.split_whitespace().next().unwrap_or_default();
            assert!(!first.is_empty() && text.contains(first), "{text}");
        }
    }

    #[test]
    fn every_shell_learns_of_every_command() {
        use clap::ValueEnum as _;
        for shell in Shell::value_variants() {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Arguments::command(), "tieout", &mut script);
            let script = String::from_utf8(script).unwrap();
            for command in Arguments::command().get_subcommands() {
                assert!(script.contains(command.get_name()), "{shell} does not know {}", command.get_name());
            }
        }
    }
}
