//! What stands around every view: title, navigation, the moment, who is logged in; and the views without a session.

use maud::{DOCTYPE, Markup, html};

use super::super::http::HttpOptions;
use super::super::{Failure, Who};
use super::moment::{self, Moment};
use super::wish::Wish;

const NAVIGATION: [(&str, &str); 4] =
    [("/", "Status"), ("/exceptions", "Exceptions"), ("/trends", "Trends"), ("/coverage", "Coverage")];

/// The frame of a view.
pub(super) struct Frame<'a> {
    pub(super) options: &'a HttpOptions,
    pub(super) who: Option<&'a Who>,
    pub(super) wish: Option<&'a Wish>,
    pub(super) moment: Option<&'a Moment>,
}

impl Frame<'_> {
    /// A whole page.
    pub(super) fn page(&self, title: &str, main: &Markup) -> String {
        let firm = if self.options.firm.is_empty() { "tieout" } else { self.options.firm.as_str() };
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                (head(&format!("{title} · {firm}")))
                body {
                    a.skip href="#main" { "Skip to the content" }
                    header {
                        p.firm { (firm) }
                        @if let (Some(who), Some(wish)) = (self.who, self.wish) {
                            nav aria-label="Views" {
                                ul {
                                    @for (path, name) in NAVIGATION {
                                        li { a href=(wish.to(path, &[])) aria-current=[(wish.path() == path).then_some("page")] { (name) } }
                                    }
                                }
                            }
                            form.leave method="post" action="/log-out" {
                                span { "Role " b { (who.role) } }
                                button type="submit" { "Log out" }
                            }
                        }
                    }
                    @if let (Some(wish), Some(moment)) = (self.wish, self.moment) { (selector(wish, moment)) }
                    main id="main" tabindex="-1" { (main) }
                    footer {
                        p { "tieout " (env!("CARGO_PKG_VERSION")) ". This page only shows; times are of " (self.options.zone.name()) "." }
                    }
                    script src="/script.js" defer {}
                }
            }
        };
        page.into_string()
    }
}

fn head(title: &str) -> Markup {
    html! {
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light dark";
            meta name="robots" content="noindex, nofollow";
            title { (title) }
            link rel="stylesheet" href="/style.css";
            link rel="icon" href="data:,";
        }
    }
}

/// Which moment is shown, and how to see another.
fn selector(wish: &Wish, moment: &Moment) -> Markup {
    html! {
        section.moment aria-label="Moment" {
            p {
                @if moment.is_empty() {
                    b { "Nothing was committed yet." }
                } @else if !moment.is_told {
                    "This role may not read which commit it sees (schema " code { "meta" } ")."
                } @else if moment.is_present {
                    "As of now: read " b { (moment.read_at) } ", commit " (moment.commit)
                } @else {
                    strong.past { "Not the present: as of " (moment.forced.as_deref().unwrap_or(wish.get(moment::FIELD))) }
                    ", read " b { (moment.read_at) } ", commit " (moment.commit)
                    @if moment.forced.is_some() { ". This role reads no other moment." }
                    @else { ". " a href=(wish.with(&[(moment::FIELD, ""), ("page", "")])) { "Show the present" } }
                }
            }
            @if moment.forced.is_none() {
                form method="get" action=(wish.path()) {
                    @for (name, value) in wish.others(&[moment::FIELD, "page"]) { input type="hidden" name=(name) value=(value); }
                    label for="as-of" { "As of" }
                    input id="as-of" name=(moment::FIELD) type="text" value=(wish.get(moment::FIELD)) list="moments" autocomplete="off" placeholder="now" aria-describedby="as-of-help";
                    datalist id="moments" { @for (value, meaning) in &moment.others { option value=(value) { (meaning) } } }
                    button type="submit" { "Show" }
                    span.faint id="as-of-help" { "a pin, a day such as 2025-12-31, or commit:42; empty is now" }
                }
            }
        }
    }
}

/// The form that asks for name and password.
pub(crate) fn log_in(options: &HttpOptions, next: &str, name: &str, failure: Option<&Failure>) -> String {
    let main = html! {
        h1 { "Log in" }
        p { "With the name and password of a role, as for SQL." }
        @if let Some(failure) = failure {
            div.warning role="alert" id="refusal" {
                p { b { (refused(failure)) } }
                @if let Some(hint) = &failure.hint { p { (hint) } }
            }
        }
        form.login method="post" action="/log-in" {
            input type="hidden" name="next" value=(next);
            label for="name" { "Name" }
            input id="name" name="name" type="text" value=(name) autocomplete="username" autocapitalize="none" spellcheck="false" required aria-describedby=[failure.map(|_| "refusal")];
            label for="password" { "Password" }
            input id="password" name="password" type="password" autocomplete="current-password" required;
            button type="submit" { "Log in" }
        }
    };
    Frame { options, who: None, wish: None, moment: None }.page("Log in", &main)
}

fn refused(failure: &Failure) -> String {
    if failure.code == "28P01" {
        return "Name or password is wrong.".to_owned();
    }
    format!("You could not be logged in: {} ({}).", failure.message, failure.code)
}

/// Asks for the same address once more, from here.
pub(crate) fn again(options: &HttpOptions, here: &str) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="refresh" content={ "0; url=" (here) };
                title { "One moment · " (if options.firm.is_empty() { "tieout" } else { &options.firm }) }
                link rel="stylesheet" href="/style.css";
            }
            body { main { h1 { "One moment" } p { a href=(here) { "Go on to the page" } } } }
        }
    };
    page.into_string()
}

/// What could not be shown, and why.
pub(crate) fn refusal(options: &HttpOptions, visit: Option<(&Who, &Wish)>, status: u16, failure: &Failure) -> String {
    let main = html! {
        h1 { "This cannot be shown" }
        div.warning role="alert" {
            p { b { (failure.message) } " (" (failure.code) ")" }
            @if let Some(hint) = &failure.hint { p { "What to try: " (hint) } }
            @if status >= 500 { p { "Nothing on this page says that all is well: it could not look." } }
        }
        @if let Some((_, wish)) = visit {
            ul {
                li { a href=(wish.with(&[])) { "Try again" } }
                @if !wish.get(moment::FIELD).is_empty() { li { a href=(wish.with(&[(moment::FIELD, "")])) { "Show the present" } } }
                li { a href="/" { "Status" } }
            }
        }
    };
    let (who, wish) = visit.unzip();
    Frame { options, who, wish, moment: None }.page("Not shown", &main)
}

/// What is not there.
pub(crate) fn nothing(options: &HttpOptions, visit: Option<(&Who, &Wish)>) -> String {
    let main = html! {
        h1 { "There is nothing here" }
        p { "No view or exception has this address, at this moment, for this role." }
        p { a href="/" { "Status" } }
    };
    let (who, wish) = visit.unzip();
    Frame { options, who, wish, moment: None }.page("Nothing here", &main)
}
