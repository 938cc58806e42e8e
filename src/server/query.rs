//! Running plans on their own threads, one batch ahead of the client.
//!
//! Invariants: sockets and queries share no thread; a query runs only as far as its reader follows (a channel of one
//! batch); whoever drops [`Rows`] stops the work; a query that dies is an error, never a short result.

use std::future::Future;
use std::sync::Arc;

use bytes::BytesMut;
use datafusion::arrow::array::{RecordBatch, RecordBatchOptions};
use datafusion::arrow::compute::{CastOptions, cast_with_options};
use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::arrow::util::display::FormatOptions;
use datafusion::error::DataFusionError;
use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use futures::StreamExt as _;
use futures::channel::oneshot;
use pgwire::messages::data::FieldDescription;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::each_row::Abandoned;
use super::encode::{Cells, column_type, type_modifier, type_size};
use super::encoding::Code;
use super::explain;
use super::failure::{CANCELED, Failure};
use super::frames::put_message;
use super::in_turn;
use super::plans::{Answers, Carried, Gathered, Plans, Ran};
use super::postgres::sizes;
use super::rewrite::shown;
use crate::engine::options::MomentKey;
use crate::engine::{giving_way, is_short, spilling, workers};

/// An unoptimised DataFusion recurses deeply when it plans.
const STACK_BYTES: usize = 64 << 20;

/// The threads that plan queries and those that run them, apart: planning never gives way.
#[derive(Debug)]
pub(crate) struct QueryThreads {
    planning: Option<Runtime>,
    running: Option<Runtime>,
}

impl QueryThreads {
    pub(crate) fn start() -> std::io::Result<Self> {
        let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get).max(2);
        let runtime = |name: &str| {
            Builder::new_multi_thread()
                .worker_threads(threads)
                .thread_name(name)
                .thread_stack_size(STACK_BYTES)
                .enable_all()
                .build()
        };
        Ok(Self { planning: Some(runtime("plan")?), running: Some(runtime("query")?) })
    }

    /// Plans there; dropping the future stops it.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Failure>> + Send + 'static,
    ) -> Result<T, Failure> {
        let runtime = self.planning.as_ref().ok_or_else(stopped)?;
        let mut task = AbortOnDrop(runtime.spawn(work));
        (&mut task.0).await.map_err(|_| stopped())?
    }
}

impl Drop for QueryThreads {
    fn drop(&mut self) {
        // A runtime that is dropped inside another one must not wait for its threads.
        [self.planning.take(), self.running.take()].into_iter().flatten().for_each(Runtime::shutdown_background);
    }
}

fn stopped() -> Failure {
    Failure::new("XX000", "the query stopped unexpectedly").hint("the server's log has the reason")
}

struct AbortOnDrop<T>(JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What ends a statement early.
pub(crate) struct Interrupt {
    pub(crate) canceled: Option<oneshot::Receiver<()>>,
    pub(crate) deadline: Option<Instant>,
    /// The client has gone or the server stops.
    pub(crate) gone: CancellationToken,
}

impl Interrupt {
    /// Waits for `work`, or for what ends it early.
    pub(crate) async fn guard<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Failure> {
        let canceled = async {
            match &mut self.canceled {
                Some(receiver) => receiver.await.is_ok(),
                None => false,
            }
        };
        let timeout = async {
            match self.deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.gone.cancelled() => Err(Failure::new("57P01", "the connection is being closed").fatal()),
            true = canceled => Err(Failure::new(CANCELED, "canceling statement due to user request")),
            () = timeout => Err(Failure::new(CANCELED, "canceling statement due to statement timeout")),
            value = work => Ok(value),
        }
    }
}

/// Casts that fail where a value does not fit.
pub(crate) const STRICT: CastOptions<'static> = CastOptions { safe: false, format_options: FormatOptions::new() };

/// How much is written before it goes to the socket.
const PIECE_BYTES: usize = 64 << 10;

/// `None` is the end.
type Message = Result<Option<RecordBatch>, DataFusionError>;

/// The rows of a running query.
pub(crate) struct Rows {
    schema: SchemaRef,
    receiver: mpsc::Receiver<Message>,
    /// Runs the query; none over rows that are here.
    task: Option<AbortOnDrop<()>>,
    columns: Vec<Cells>,
    next: usize,
    count: usize,
    finished: bool,
    /// All rows, where they were known before and nobody has asked for them yet.
    known: Option<RecordBatch>,
    given: u64,
    /// The rows that the columns are of, and how their texts are written.
    batch: Option<RecordBatch>,
    code: Option<Code>,
    /// So many rows may be given; more is an error, never a short result.
    most: Option<u64>,
}

impl Rows {
    pub(crate) fn start(
        threads: &QueryThreads,
        context: SessionContext,
        plan: LogicalPlan,
        plans: &Arc<Plans>,
        most: Option<u64>,
    ) -> Result<Self, Failure> {
        let schema = Arc::clone(plan.schema().inner());
        let (sender, receiver) = mpsc::channel(1);
        let planning = threads.planning.as_ref().ok_or_else(stopped)?.handle().clone();
        let running = threads.running.as_ref().ok_or_else(stopped)?;
        let plans = Arc::clone(plans);
        let task = AbortOnDrop(running.spawn(async move {
            let end = pump(context, plan, &plans, &planning, &sender).await.map(|()| None);
            // A reader who has left needs no answer.
            let _ = sender.send(end).await;
        }));
        Ok(Self { task: Some(task), most, ..Self::over(schema, receiver) })
    }

    /// Rows that come by a channel.
    fn over(schema: SchemaRef, receiver: mpsc::Receiver<Message>) -> Self {
        Self {
            schema,
            receiver,
            task: None,
            columns: Vec::new(),
            next: 0,
            count: 0,
            finished: false,
            known: None,
            given: 0,
            batch: None,
            code: None,
            most: None,
        }
    }

    /// Rows that are here already.
    pub(crate) fn of(batch: &RecordBatch) -> Result<Self, Failure> {
        let mut rows = Self { finished: true, ..Self::over(batch.schema(), mpsc::channel(1).1) };
        rows.take(batch)?;
        Ok(rows)
    }

    /// The rows of a plan that are known.
    pub(crate) fn answered(plan: &LogicalPlan, rows: RecordBatch, most: Option<u64>) -> Self {
        let schema = Arc::clone(plan.schema().inner());
        Self { known: Some(rows), finished: true, most, ..Self::over(schema, mpsc::channel(1).1) }
    }

    /// Why a query ended without its last word.
    async fn died(&mut self) -> Failure {
        let panic = match self.task.take() {
            Some(mut task) => (&mut task.0).await.err().and_then(|ended| ended.try_into_panic().ok()),
            None => None,
        };
        let said = panic.as_ref().and_then(|said| {
            said.downcast_ref::<String>().map(String::as_str).or_else(|| said.downcast_ref::<&str>().copied())
        });
        // A column of texts has room for so many bytes; Arrow has no other way to say that there are more.
        if said.is_some_and(|said| said.contains("offset overflow")) {
            return Failure::new("54000", "the texts of one column are longer than 2 GiB in a batch of rows")
                .hint("shorten or aggregate them, or fetch fewer rows at a time");
        }
        stopped()
    }

    /// Rows that were given.
    pub(crate) fn given(&self) -> u64 {
        self.given
    }

    /// Passes over rows; how many there were, fewer only at the end.
    pub(crate) async fn skip(&mut self, count: u64, interrupt: &mut Interrupt) -> Result<u64, Failure> {
        let mut passed = 0;
        while passed < count && self.ready(interrupt).await? {
            let here = self.count - self.next;
            let step = usize::try_from(count - passed).map_or(here, |wanted| wanted.min(here));
            self.next += step;
            passed += u64::try_from(step).unwrap_or(u64::MAX);
        }
        Ok(passed)
    }

    /// The next rows as they are announced; none at the end.
    pub(crate) async fn batch(&mut self, interrupt: &mut Interrupt) -> Result<Option<RecordBatch>, Failure> {
        let message = match self.known.take() {
            Some(batch) => Some(Ok(Some(batch))),
            None if self.finished => return Ok(None),
            None => interrupt.guard(self.receiver.recv()).await?,
        };
        match message {
            None => Err(self.died().await),
            Some(Err(error)) => Err(error.into()),
            Some(Ok(None)) => {
                self.finished = true;
                Ok(None)
            }
            Some(Ok(Some(batch))) => {
                self.given += u64::try_from(batch.num_rows()).unwrap_or(u64::MAX);
                match self.most.filter(|most| self.given > *most) {
                    Some(most) => Err(too_many(most)),
                    None => Ok(Some(announced(&batch, &self.schema)?)),
                }
            }
        }
    }

    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Whether there is a row to write; waits for it.
    pub(crate) async fn ready(&mut self, interrupt: &mut Interrupt) -> Result<bool, Failure> {
        while self.next >= self.count {
            if let Some(batch) = self.known.take() {
                self.take(&batch)?;
                continue;
            }
            if self.finished {
                return Ok(false);
            }
            match interrupt.guard(self.receiver.recv()).await? {
                None => return Err(self.died().await),
                Some(Ok(None)) => self.finished = true,
                Some(Ok(Some(batch))) => self.take(&batch)?,
                Some(Err(error)) => return Err(error.into()),
            }
        }
        match self.most.filter(|most| self.given >= *most) {
            Some(most) => Err(too_many(most)),
            None => Ok(true),
        }
    }

    fn take(&mut self, batch: &RecordBatch) -> Result<(), Failure> {
        let batch = announced(batch, &self.schema)?;
        let code = self.code;
        let columns = batch.columns().iter().zip(self.schema.fields()).map(|(array, field)| {
            let cells = Cells::of(array, field)?;
            match code {
                Some(code) => cells.encoded(code),
                None => Ok::<_, Failure>(cells),
            }
        });
        self.columns = columns.collect::<Result<_, _>>()?;
        self.next = 0;
        self.count = batch.num_rows();
        self.batch = Some(batch);
        Ok(())
    }

    /// From now on texts are written in another encoding.
    pub(crate) fn follow(&mut self, code: Option<Code>) -> Result<(), Failure> {
        if self.code == code {
            return Ok(());
        }
        self.code = code;
        match self.batch.take() {
            Some(batch) => self.take(&batch.slice(self.next, self.count.saturating_sub(self.next))),
            None => Ok(()),
        }
    }

    /// Appends a message of each of the rows at hand, until there are `max` or the piece is long enough to go; how many.
    /// Only after [`Self::ready`] said that there is a row.
    pub(crate) fn messages(
        &mut self,
        kind: u8,
        max: u64,
        out: &mut BytesMut,
        mut write: impl FnMut(&[Cells], usize, &mut BytesMut),
    ) -> u64 {
        let allowed = self.most.map_or(max, |most| max.min(most.saturating_sub(self.given)));
        let mut count = 0;
        while count < allowed && self.next < self.count && out.len() < PIECE_BYTES {
            put_message(kind, out, |out| write(&self.columns, self.next, out));
            self.next += 1;
            count += 1;
        }
        self.given += count;
        count
    }
}

fn too_many(most: u64) -> Failure {
    Failure::new("54000", format!("the statement has more than {most} rows"))
        .hint("the role may fetch no more: narrow or aggregate it, or raise [[roles]] max_rows")
}

/// Rows with the types that were announced: a value that is none of its type is an error, not a null.
fn announced(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, Failure> {
    let columns = batch.columns().iter().zip(schema.fields()).map(|(array, field)| {
        if array.data_type() == field.data_type() {
            Ok(Arc::clone(array))
        } else {
            cast_with_options(array, field.data_type(), &STRICT)
        }
    });
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    // The plan and its rows need not agree on whether there are nulls.
    let fields = schema.fields().iter().map(|field| Arc::new(field.as_ref().clone().with_nullable(true)));
    let schema = Arc::new(Schema::new_with_metadata(fields.collect::<Vec<_>>(), schema.metadata().clone()));
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(schema, columns, &options)?)
}

/// How far a plan has come.
#[derive(Default)]
struct Progress {
    /// The reader has a row.
    sent: bool,
    /// Workers carry out parts of it.
    is_sent_out: bool,
}

/// Runs a plan; one that fails on workers runs again here, and one that memory does not suffice for with joins that go to the
/// disk.
async fn pump(
    context: SessionContext,
    plan: LogicalPlan,
    plans: &Arc<Plans>,
    planning: &Handle,
    sender: &mpsc::Sender<Message>,
) -> Result<(), DataFusionError> {
    let (mut progress, began) = (Progress::default(), Instant::now());
    let state = context.state();
    let zone = state.config_options().execution.time_zone.clone();
    let mut ran = Box::pin(run(state, plan.clone(), plans, planning, sender, &mut progress)).await;
    if let Err(error) = ran {
        ran = match (progress.is_sent_out, progress.sent) {
            // Whatever it was: if the statement itself is to blame, it fails here in the same way.
            (true, false) => {
                workers::look_after(&context.state(), &error).await;
                let alone = workers::alone(context.state());
                Box::pin(run(alone, plan.clone(), plans, planning, sender, &mut progress)).await
            }
            (true, true) => Err(workers::too_late(error)),
            (false, _) => Err(error),
        };
    }
    match ran {
        Ok(answer) => {
            plans.note(zone.as_deref(), &plan, Ran { took: began.elapsed(), answer });
            Ok(())
        }
        // Rows that went out already cannot be taken back.
        Err(error) if !progress.sent && is_short(&error) => {
            let state = spilling(context.state());
            let unkept = Arc::new(Plans::beside(&Arc::new(Answers::default())));
            Box::pin(run(state, plan, &unkept, planning, sender, &mut progress)).await.map(drop)
        }
        Err(error) => Err(error),
    }
}

/// Runs a plan once; its answer, if it may be kept.
async fn run(
    state: SessionState,
    plan: LogicalPlan,
    plans: &Arc<Plans>,
    planning: &Handle,
    sender: &mpsc::Sender<Message>,
    progress: &mut Progress,
) -> Result<Option<(MomentKey, RecordBatch)>, DataFusionError> {
    let tasks = state.task_ctx();
    let reader = sender.clone();
    let abandoned: Abandoned = Arc::new(move || reader.is_closed());
    let plans = Arc::clone(plans);
    let planned = planning.spawn(async move {
        let plan = explain::carried_out(&state, plan, &abandoned).await?;
        let carried = plans.physical(&state, &plan, &abandoned).await?;
        Ok::<_, DataFusionError>(Carried { plan: giving_way(carried.plan)?, ..carried })
    });
    let mut planned = AbortOnDrop(planned);
    let ended = |error| DataFusionError::Execution(format!("planning ended: {error}"));
    let Carried { plan, moment, held: _held } = (&mut planned.0).await.map_err(ended)??;
    progress.is_sent_out = workers::is_sent_out(plan.as_ref());
    sizes::separators(&plan)?;
    let mut stream = in_turn::rows(plan, tasks)?;
    let mut answer = moment.map(Gathered::at);
    while let Some(batch) = stream.next().await {
        let batch = batch?;
        progress.sent |= batch.num_rows() > 0;
        answer = answer.and_then(|answer| answer.with(&batch));
        if sender.send(Ok(Some(batch))).await.is_err() {
            return Ok(None);
        }
    }
    Ok(answer.and_then(|answer| answer.answer(&stream.schema())))
}

/// Which result columns go in binary: none given is text, one is for all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Formats(pub(crate) Vec<i16>);

impl Formats {
    pub(crate) fn is_binary(&self, column: usize) -> bool {
        let code = match self.0.as_slice() {
            [all] => Some(all),
            each => each.get(column),
        };
        code.is_some_and(|code| *code == 1)
    }
}

/// The description of a result's columns.
pub(crate) fn describe(schema: &SchemaRef, formats: &Formats) -> Vec<FieldDescription> {
    let field = |(place, field): (usize, &Arc<Field>)| {
        let of = column_type(field);
        FieldDescription::new(
            shown(field.name()).to_owned(),
            0,
            0,
            of.oid(),
            type_size(&of),
            type_modifier(field.data_type()),
            i16::from(formats.is_binary(place)),
        )
    };
    schema.fields().iter().enumerate().map(field).collect()
}
