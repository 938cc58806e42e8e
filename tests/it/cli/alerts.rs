//! `alerts`: what is told, when, to whom, and what waits. Against receivers on this machine that answer as they like.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::Notify;

use super::lives::{CHECK, LARGE, projects};
use super::post::{Post, smtp};
use super::toy::{PASSWORD, Page, Toy};

/// How long something may take on a slow machine.
const PATIENCE: Duration = Duration::from_mins(5);

/// What a chat answers next; 200 when nothing is left.
#[derive(Clone, Copy)]
enum Answer {
    Status(u16),
    /// 429, to be asked again after so many seconds.
    Later(u64),
    Never,
}

#[derive(Default)]
struct Chat {
    answers: Mutex<VecDeque<Answer>>,
    bodies: Mutex<Vec<Value>>,
    asked: Notify,
}

impl Chat {
    async fn start() -> (Arc<Self>, String) {
        let chat = Arc::new(Self::default());
        let router = Router::new().fallback(answer).with_state(Arc::clone(&chat));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/services/the-secret-part", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        (chat, url)
    }

    fn answers(&self, answers: &[Answer]) {
        self.answers.lock().unwrap().extend(answers);
    }

    /// Everything that it was sent since it was last asked.
    fn taken(&self) -> Vec<Value> {
        std::mem::take(&mut *self.bodies.lock().unwrap())
    }
}

async fn answer(State(chat): State<Arc<Chat>>, request: Request) -> Response {
    let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap();
    chat.bodies.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
    chat.asked.notify_one();
    let answer = chat.answers.lock().unwrap().pop_front();
    match answer {
        None => "ok".into_response(),
        Some(Answer::Status(code)) => (StatusCode::from_u16(code).unwrap(), "no_service").into_response(),
        Some(Answer::Later(seconds)) => {
            (StatusCode::TOO_MANY_REQUESTS, [("retry-after", seconds.to_string())]).into_response()
        }
        Some(Answer::Never) => std::future::pending().await,
    }
}

fn webhook(format: &str) -> String {
    format!("[alerts.webhook]\nurl = {{ file = \"hook\" }}\nformat = \"{format}\"\n")
}

/// A firm with two exceptions, 250.00 (low) and 20,000.00 (high), and a chat.
async fn firm(alerts: &str) -> (Toy, Arc<Chat>) {
    let (chat, url) = Chat::start().await;
    let toy = Toy::start(projects(&[(1, "250.00"), (2, "20000.00")])).await;
    toy.write(CHECK, LARGE);
    toy.write("hook", &url);
    toy.write("tieout.toml", &(toy.settings() + alerts));
    (toy, chat)
}

async fn send(toy: &Toy, now: &str, code: i32) -> String {
    let ended = toy.run(&["alerts", "send", "--now", now]).await;
    assert_eq!(ended.code, code, "{}", ended.err);
    assert!(!ended.err.contains("the-secret-part") && !ended.err.contains(PASSWORD), "{}", ended.err);
    ended.err
}

/// The titles of messages in JSON.
fn titles(bodies: &[Value]) -> Vec<String> {
    let messages = bodies.iter().flat_map(|body| body["messages"].as_array().unwrap());
    messages.map(|message| message["title"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exception_is_told_once_and_again_when_it_comes_again() {
    let (toy, chat) = firm(&("[alerts]\nseverity = \"low\"\n".to_owned() + &webhook("json"))).await;
    toy.run(&["extract", "--now", "2026-11-02T06:00:00Z"]).await.says(0, &[]);
    send(&toy, "2026-11-02T07:00:00Z", 0).await;
    let bodies = chat.taken();
    let told = titles(&bodies);
    assert!(told.contains(&"2 new exceptions: 1 high, 1 low".to_owned()), "{told:?}");
    let text = bodies[0].to_string();
    assert!(text.contains("X1 Projects above a hundred: 2 new of 2 open") && text.contains("project 2"), "{text}");
    assert!(!text.contains("20000") && !text.contains("20,000"), "amounts were not allowed: {text}");
    send(&toy, "2026-11-02T08:00:00Z", 0).await;
    assert!(chat.taken().is_empty(), "nothing is new");

    // One goes, another comes.
    toy.answer(projects(&[(1, "250.00"), (3, "400.00")])).await;
    toy.run(&["extract", "--now", "2026-11-03T06:00:00Z"]).await.says(0, &[]);
    send(&toy, "2026-11-03T07:00:00Z", 0).await;
    assert_eq!(titles(&chat.taken()), ["1 new exception: 1 low"]);
    toy.answer(projects(&[(1, "250.00"), (2, "20000.00"), (3, "400.00")])).await;
    toy.run(&["extract", "--now", "2026-11-04T06:00:00Z"]).await.says(0, &[]);
    send(&toy, "2026-11-04T07:00:00Z", 0).await;
    assert_eq!(titles(&chat.taken()), ["1 new exception: 1 high"]);

    // The source fails, then nobody reads it: both are told, and what the check cannot look at any more.
    toy.answer(Page::Unavailable).await;
    toy.run(&["extract", "--now", "2026-11-05T06:00:00Z"]).await.says(3, &[]);
    send(&toy, "2026-11-06T06:30:00Z", 0).await;
    let told = titles(&chat.taken());
    assert!(told[0].starts_with("`extract --now") && told[0].ends_with("failed (exit code 3)"), "{told:?}");
    assert_eq!(told[1..], ["toy was not read for 48 hours".to_owned()]);
    send(&toy, "2026-11-06T08:00:00Z", 0).await;
    assert!(chat.taken().is_empty());
    toy.answer(Page::Text("[{\"id\":null,\"amount\":\"250.00\"}]".to_owned())).await;
    toy.run(&["extract", "--now", "2026-11-07T06:00:00Z"]).await.says(5, &[]);
    send(&toy, "2026-11-07T07:00:00Z", 0).await;
    let bodies = chat.taken();
    assert!(bodies[0].to_string().contains("X1 Projects above a hundred: "), "{bodies:?}");
    assert_eq!(bodies[0]["messages"][0]["kind"], "not_evaluated");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_takes_nothing_is_asked_again_and_nothing_is_lost() {
    let (toy, chat) = firm(&webhook("json")).await;
    toy.run(&["extract", "--now", "2026-11-02T06:00:00Z"]).await.says(0, &[]);
    // Soon over: waited for.
    chat.answers(&[Answer::Later(1), Answer::Status(502)]);
    send(&toy, "2026-11-02T07:00:00Z", 0).await;
    assert_eq!(chat.taken().len(), 3);

    toy.answer(projects(&[(1, "250.00"), (2, "20000.00"), (3, "30000.00")])).await;
    toy.run(&["extract", "--now", "2026-11-03T06:00:00Z"]).await.says(0, &[]);
    chat.answers(&[Answer::Status(500); 3]);
    let said = send(&toy, "2026-11-03T07:00:00Z", 3).await;
    assert!(
        said.contains("webhook: 127.0.0.1 answered 500 Internal Server Error: no_service")
            && said.contains("1 messages wait"),
        "{said}"
    );
    assert_eq!(chat.taken().len(), 3);
    send(&toy, "2026-11-03T07:00:02Z", 3).await;
    assert!(chat.taken().is_empty(), "it is left alone for a minute");
    let waiting = toy.run(&["alerts", "waiting"]).await;
    assert!(
        waiting.out.contains("webhook: 1 wait") && waiting.out.contains("1 new exception: 1 high"),
        "{}",
        waiting.out
    );
    // It asks for five minutes: longer than anybody waits here.
    chat.answers(&[Answer::Later(300)]);
    send(&toy, "2026-11-03T07:10:00Z", 3).await;
    assert_eq!(chat.taken().len(), 1);
    send(&toy, "2026-11-03T07:11:00Z", 3).await;
    assert!(chat.taken().is_empty());
    send(&toy, "2026-11-03T07:30:00Z", 0).await;
    assert_eq!(titles(&chat.taken()), ["1 new exception: 1 high"]);
    let outbox = std::fs::read_to_string(toy.folder().join("alerts/outbox.jsonl")).unwrap();
    assert!(!outbox.contains("the-secret-part") && !outbox.contains(PASSWORD), "{outbox}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_killed_before_the_answer_tells_again() {
    let (toy, chat) = firm(&webhook("json")).await;
    toy.run(&["extract", "--now", "2026-11-02T06:00:00Z"]).await.says(0, &[]);
    chat.answers(&[Answer::Never]);
    let mut sending = toy.spawn(&["alerts", "send", "--now", "2026-11-02T07:00:00Z"]);
    tokio::time::timeout(PATIENCE, chat.asked.notified()).await.unwrap();
    sending.kill().await.unwrap();
    let first = chat.taken();
    send(&toy, "2026-11-02T07:00:10Z", 0).await;
    let again = chat.taken();
    assert_eq!((first.len(), again.len()), (1, 1));
    let ids =
        |body: &Value| body["messages"].as_array().unwrap().iter().map(|one| one["id"].clone()).collect::<Vec<_>>();
    assert_eq!(ids(&first[0]), ids(&again[0]), "at least once, and known to be the same");
    send(&toy, "2026-11-02T07:00:20Z", 0).await;
    assert!(chat.taken().is_empty());
    // Killed between the outbox and the memory: found again, and not told twice.
    std::fs::remove_file(toy.folder().join("alerts/told.json")).unwrap();
    send(&toy, "2026-11-02T07:00:30Z", 0).await;
    assert!(chat.taken().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn quiet_hours_end_with_one_message() {
    let quiet = "[firm]\ntimezone = \"America/Denver\"\n[alerts]\nquiet = \"20:00-06:00\"\n";
    let (toy, chat) = firm(&(quiet.to_owned() + &webhook("slack"))).await;
    // 23:00 and 02:00 in Denver.
    toy.run(&["extract", "--now", "2026-11-02T06:00:00Z"]).await.says(0, &[]);
    send(&toy, "2026-11-02T06:05:00Z", 0).await;
    toy.answer(projects(&[(1, "250.00"), (2, "20000.00"), (3, "30000.00")])).await;
    toy.run(&["extract", "--now", "2026-11-02T09:00:00Z"]).await.says(0, &[]);
    send(&toy, "2026-11-02T09:05:00Z", 0).await;
    assert!(chat.taken().is_empty(), "people sleep");
    send(&toy, "2026-11-02T13:00:00Z", 0).await;
    let bodies = chat.taken();
    assert_eq!(bodies.len(), 1);
    let text = bodies[0].to_string();
    assert!(bodies[0]["text"].as_str().unwrap().ends_with("messages"), "{text}");
    assert_eq!(text.matches("1 new exception: 1 high").count(), 2, "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_goes_its_own_way() {
    let (post, number) = Post::start().await;
    let (toy, chat) = firm(&(webhook("teams") + &smtp(number))).await;
    toy.run(&["extract", "--now", "2026-11-02T06:00:00Z"]).await.says(0, &[]);
    // The mail server does not know the receiver; the chat is told all the same.
    post.refusals.lock().unwrap().push_back("550 5.1.1 no such user");
    let said = send(&toy, "2026-11-02T07:00:00Z", 3).await;
    assert!(
        said.contains("refused") && said.contains("no such user") && said.contains("hint: may this sender"),
        "{said}"
    );
    assert_eq!(chat.taken()[0]["attachments"][0]["content"]["type"], "AdaptiveCard");
    assert!(post.taken().is_empty());
    // For now: asked again at once.
    post.refusals.lock().unwrap().push_back("421 4.3.2 try again later");
    send(&toy, "2026-11-02T07:10:00Z", 0).await;
    let mails = post.taken();
    assert_eq!(mails.len(), 1);
    assert!(mails[0].contains("To: ada@example.com") && mails[0].contains("1 new exception: 1 high"), "{}", mails[0]);
    assert!(chat.taken().is_empty(), "it was told before");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_says_what_is_wrong() {
    let (post, number) = Post::start().await;
    let (toy, chat) = firm(&(webhook("slack") + &smtp(number))).await;
    let fine = toy.run(&["alerts", "test"]).await;
    assert_eq!(fine.code, 0, "{}", fine.err);
    assert!(fine.out.contains("webhook: 127.0.0.1:") && fine.out.contains("smtp: 127.0.0.1:"), "{}", fine.out);
    assert_eq!((chat.taken().len(), post.taken().len()), (1, 1));

    chat.answers(&[Answer::Status(404)]);
    toy.write("password", "wrong");
    let said = toy.run(&["alerts", "test"]).await;
    said.says(3, &["webhook: 127.0.0.1 answered 404 Not Found", "smtp: 127.0.0.1:", "535", "hint:"]);
    assert!(!said.err.contains("the-secret-part"), "{}", said.err);

    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    toy.write("hook", &format!("http://127.0.0.1:{free}/services/the-secret-part"));
    toy.write("tieout.toml", &(toy.settings() + &webhook("slack") + &smtp(free)));
    let said = toy.run(&["alerts", "test"]).await;
    said.says(3, &["webhook: 127.0.0.1 cannot be reached", "smtp: 127.0.0.1:", "refused"]);
    assert!(!said.err.contains("the-secret-part"), "{}", said.err);

    // A server that does not know STARTTLS: nothing is sent in clear.
    let settings = smtp(number).replace("\"none\"", "\"starttls\"");
    toy.write("tieout.toml", &(toy.settings() + &settings));
    toy.run(&["alerts", "test"]).await.says(3, &["STARTTLS", "hint:"]);
    assert!(post.taken().is_empty());
    toy.write("tieout.toml", &toy.settings());
    toy.run(&["alerts", "test"]).await.says(2, &["nobody to tell", "[alerts.webhook]"]);
}
