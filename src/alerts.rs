//! Telling people: messages that wait on the disk until somebody received them.
//!
//! Owns the hours at which people are told, the outbox, and the receivers (a chat by webhook, mail by SMTP). What is worth
//! telling is decided in `cli::alerts`, which can ask the warehouse. Invariants: a message is told at least once, for what was
//! sent is written down afterwards; a receiver that fails holds nothing up but itself; no secret stands in the outbox or in an
//! error.

mod chat;
mod hours;
mod mail;
mod memory;
mod message;
mod outbox;
mod receiver;

pub(crate) use hours::Hours;
pub(crate) use memory::Memory;
pub(crate) use message::{Kind, Message};
pub(crate) use outbox::{Outbox, Waiting};
pub(crate) use receiver::{Receiver, Refusal, receivers};
