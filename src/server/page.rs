//! What the page shows: how fresh the data is, what the checks could say, what is open, one exception's life, the trend.
//!
//! Invariants: every view is a GET address that can be shared, the moment in it; everything works without a script; what
//! nobody could look at, or what is stale, stands before what was found; every list is in pieces; what a role may not read
//! is named, never left out in silence. Leaves out who asks and what it may read, which the request's session knows.

mod checks;
mod coverage;
mod exceptions;
mod frame;
mod moment;
mod one;
mod pieces;
mod records;
mod schedule;
mod status;
mod trends;
mod wish;

use maud::{Markup, html};

use super::http::{Asking, HttpOptions};
use super::{DENIED, Failure, Who};
use frame::Frame;
use moment::Moment;

pub(super) use frame::{again, log_in, nothing, refusal};
pub(super) use wish::{Wish, link};

/// The style of all views.
pub(super) const STYLE: &str = include_str!("page/style.css");
/// What makes the views handier where scripts run.
pub(super) const SCRIPT: &str = include_str!("page/script.js");

/// Somebody at an address.
pub(super) struct Visit<'a> {
    pub(super) options: &'a HttpOptions,
    pub(super) who: &'a Who,
    pub(super) wish: &'a Wish,
    pub(super) moment: Moment,
    /// Whether the role reads all projects and the firm.
    pub(super) reads_all: bool,
}

/// The view of an address; none if there is nothing there.
///
/// # Errors
/// What the session refuses, or cannot read.
pub(super) async fn view(
    asking: &mut Asking,
    options: &HttpOptions,
    who: &Who,
    wish: &Wish,
) -> Result<Option<String>, Failure> {
    if !matches!(wish.path(), "/" | "/exceptions" | "/exception" | "/trends" | "/coverage") {
        return Ok(None);
    }
    let moment = Box::pin(Moment::read(asking, options)).await?;
    let reads_all = asking.reads_all();
    let visit = Visit { options, who, wish, moment, reads_all };
    let (title, main) = match wish.path() {
        "/" => ("Status".to_owned(), Box::pin(status::view(asking, &visit)).await?),
        "/exceptions" => ("Exceptions".to_owned(), Box::pin(exceptions::view(asking, &visit)).await?),
        "/trends" => ("Trends".to_owned(), Box::pin(trends::view(asking, &visit)).await?),
        "/coverage" => ("Coverage".to_owned(), Box::pin(coverage::view(asking, &visit)).await?),
        _ => match Box::pin(one::view(asking, &visit)).await? {
            Some(found) => found,
            None => return Ok(None),
        },
    };
    let frame = Frame { options, who: Some(who), wish: Some(wish), moment: Some(&visit.moment) };
    Ok(Some(frame.page(&title, &main)))
}

/// What was read, or, where the role may not read it, the sentence that says so.
fn allowed<T>(told: Result<T, Failure>) -> Result<Result<T, Markup>, Failure> {
    match told {
        Ok(value) => Ok(Ok(value)),
        Err(failure) if failure.code == DENIED => Ok(Err(unshown(&failure))),
        Err(failure) => Err(failure),
    }
}

/// In the place of what is not shown: why.
fn unshown(failure: &Failure) -> Markup {
    html! {
        p.notice role="note" {
            b { "Not shown: " } (failure.message) "."
            @if let Some(hint) = &failure.hint { " " span.faint { (hint) } }
        }
    }
}
