//! Steps of plans that are ours, in the bytes of a plan that travels.
//!
//! DataFusion writes its own steps; here are those that it does not know. Invariants: what a worker reads is named by the plan,
//! commit and files included, never looked up anew; a step that cannot be written keeps the plan where it is.

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::{Result, exec_err, internal_datafusion_err, internal_err, not_impl_err};
use datafusion::execution::TaskContext;
use datafusion::physical_plan::ExecutionPlan;
use datafusion_proto::physical_plan::{
    PhysicalExtensionCodec, PhysicalPlanDecodeContext, PhysicalProtoConverterExtension,
};
use datafusion_proto::protobuf;
use prost::Message as _;
use serde::{Deserialize, Serialize};

use super::standing::Standing;
use crate::engine::access::{GuardedScan, Veil};
use crate::engine::outer::Unequal;
use crate::engine::streamed::{Read, Streamed, StreamedScan};
use crate::warehouse::commit::DataFile;
use crate::warehouse::rows::ColumnType;
use crate::warehouse::{SinceState, Warehouse};

/// One step.
#[derive(Clone, PartialEq, prost::Message)]
struct Step {
    #[prost(oneof = "Kind", tags = "1, 2, 3, 4")]
    kind: Option<Kind>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Kind {
    /// [`Unequal`]
    #[prost(bool, tag = "1")]
    Unequal(bool),
    /// [`Standing`]
    #[prost(message, tag = "2")]
    Standing(StandingStep),
    /// [`GuardedScan`]
    #[prost(message, tag = "3")]
    Guarded(GuardedStep),
    /// [`StreamedScan`]
    #[prost(message, tag = "4")]
    Streamed(StreamedStep),
}

#[derive(Clone, PartialEq, prost::Message)]
struct StandingStep {
    #[prost(string, repeated, tag = "1")]
    changed: Vec<String>,
    #[prost(uint64, tag = "2")]
    key: u64,
    #[prost(message, repeated, tag = "3")]
    others: Vec<protobuf::PhysicalExprNode>,
    #[prost(uint64, repeated, tag = "4")]
    projection: Vec<u64>,
    #[prost(uint64, optional, tag = "5")]
    fetch: Option<u64>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct GuardedStep {
    #[prost(message, optional, tag = "1")]
    inner: Option<protobuf::PhysicalPlanNode>,
    #[prost(message, optional, tag = "2")]
    schema: Option<protobuf::Schema>,
    #[prost(string, tag = "3")]
    table: String,
    #[prost(string, tag = "4")]
    role: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct StreamedStep {
    #[prost(message, optional, tag = "1")]
    schema: Option<protobuf::Schema>,
    /// [`StreamedWords`] as JSON.
    #[prost(bytes = "vec", tag = "2")]
    words: Vec<u8>,
}

/// What a [`StreamedScan`] reads.
#[derive(Debug, Serialize, Deserialize)]
struct StreamedWords {
    warehouse: String,
    edition: String,
    name: (String, String),
    read: ReadWords,
    columns: Vec<(String, String)>,
    limit: Option<usize>,
}

#[derive(Debug, Serialize, Deserialize)]
enum ReadWords {
    /// A commit, by its number and the SHA-256 of its manifest.
    State(u64, String),
    Changes(Vec<DataFile>),
}

/// Writes and reads the steps; reading takes a warehouse, and the definitions whose columns it has.
#[derive(Debug, Default)]
pub(super) struct Codec {
    pub(super) here: Option<Here>,
}

/// Where plans arrive.
#[derive(Clone, Debug)]
pub(super) struct Here {
    pub(super) warehouse: Warehouse,
    pub(super) edition: Arc<str>,
    /// The chain, so new that every commit that a plan of this task names is in it.
    pub(super) head: Arc<crate::warehouse::commit::Head>,
}

impl PhysicalExtensionCodec for Codec {
    fn try_encode(
        &self,
        node: Arc<dyn ExecutionPlan>,
        buffer: &mut Vec<u8>,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<()> {
        let kind = if node.is::<Unequal>() {
            Kind::Unequal(true)
        } else if let Some(standing) = node.downcast_ref::<Standing>() {
            Kind::Standing(self.standing(standing, converter)?)
        } else if let Some(guarded) = node.downcast_ref::<GuardedScan>() {
            Kind::Guarded(GuardedStep {
                inner: Some(converter.execution_plan_to_proto(&guarded.inner, self)?),
                schema: Some(schema_words(&guarded.schema())?),
                table: guarded.veil.table.to_string(),
                role: guarded.veil.role.to_string(),
            })
        } else if let Some(scan) = node.downcast_ref::<StreamedScan>() {
            let words = serde_json::to_vec(&streamed_words(&scan.streamed)?);
            let words = words.map_err(|error| internal_datafusion_err!("write a scan: {error}"))?;
            Kind::Streamed(StreamedStep { schema: Some(schema_words(&scan.streamed.schema)?), words })
        } else {
            return not_impl_err!("{} stays where it was planned", node.name());
        };
        *buffer = Step { kind: Some(kind) }.encode_to_vec();
        Ok(())
    }

    fn try_decode(
        &self,
        bytes: &[u8],
        inputs: &[Arc<dyn ExecutionPlan>],
        context: &TaskContext,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let step = Step::decode(bytes).map_err(|error| internal_datafusion_err!("read a step: {error}"))?;
        let one = || match inputs {
            [input] => Ok(Arc::clone(input)),
            _ => internal_err!("a step arrived with {} inputs", inputs.len()),
        };
        let decoding = PhysicalPlanDecodeContext::new(context, self);
        match step.kind {
            Some(Kind::Unequal(_)) => Ok(Unequal::over(one()?)),
            Some(Kind::Standing(step)) => {
                let input = one()?;
                let schema = input.schema();
                let others = step.others.iter().map(|word| converter.proto_to_physical_expr(word, &schema, &decoding));
                let others = others.collect::<Result<Vec<_>>>()?;
                let since = Arc::new(SinceState { keys: step.changed, rows: Vec::new() });
                let places = step.projection.iter().map(|place| index(*place)).collect::<Result<Vec<_>>>()?;
                let fetch = step.fetch.map(index).transpose()?;
                let options = context.session_config().options();
                Standing::filter((input, since, index(step.key)?), others, places, fetch, options)
            }
            Some(Kind::Guarded(step)) => {
                let inner =
                    step.inner.ok_or_else(|| internal_datafusion_err!("a guarded table arrived without rows"))?;
                let inner = converter.proto_to_execution_plan(&inner, &decoding)?;
                let veil = Veil { table: step.table.into(), role: step.role.into() };
                Ok(Arc::new(GuardedScan::new(inner, schema_of(step.schema.as_ref())?, veil)))
            }
            Some(Kind::Streamed(step)) => {
                let words = serde_json::from_slice(&step.words);
                let words = words.map_err(|error| internal_datafusion_err!("read a scan: {error}"))?;
                Ok(self.streamed(words, schema_of(step.schema.as_ref())?)?.scan())
            }
            None => internal_err!("a step arrived that this build does not know"),
        }
    }
}

impl Codec {
    fn standing(&self, standing: &Standing, converter: &dyn PhysicalProtoConverterExtension) -> Result<StandingStep> {
        let filter = standing.parts()?;
        let others = filter.others.iter().map(|expr| converter.physical_expr_to_proto(expr, self));
        Ok(StandingStep {
            changed: filter.since.keys.clone(),
            key: filter.key as u64,
            others: others.collect::<Result<_>>()?,
            projection: filter.projection.iter().map(|place| *place as u64).collect(),
            fetch: filter.fetch.map(|fetch| fetch as u64),
        })
    }

    fn streamed(&self, words: StreamedWords, schema: SchemaRef) -> Result<Streamed> {
        let Some(here) = &self.here else { return internal_err!("plans are not read here") };
        if words.warehouse != here.warehouse.id() {
            return exec_err!("the plan reads warehouse {}, this is {}", words.warehouse, here.warehouse.id());
        }
        if words.edition != *here.edition {
            return exec_err!(
                "the plan reads {}.{} by other definitions than this worker has\nhint: start it with the server's tieout.toml",
                words.name.0,
                words.name.1
            );
        }
        let read = match words.read {
            ReadWords::Changes(files) => Read::Changes(files),
            ReadWords::State(commit, digest) => match here.head.manifest_digest(commit) {
                Some(found) if found == digest => Read::State { head: Arc::clone(&here.head), commit },
                Some(_) => return exec_err!("commit {commit} is another one here"),
                None => return exec_err!("commit {commit} is not in the warehouse that this worker reads"),
            },
        };
        let column = |(name, word): (String, String)| match ColumnType::parse(&word) {
            Some(kind) => Ok((name, kind)),
            None => internal_err!("column {name} arrived as {word}"),
        };
        Ok(Streamed {
            warehouse: here.warehouse.clone(),
            edition: Arc::clone(&here.edition),
            name: words.name,
            read,
            columns: words.columns.into_iter().map(column).collect::<Result<_>>()?,
            schema,
            limit: words.limit,
        })
    }
}

fn streamed_words(scan: &Streamed) -> Result<StreamedWords> {
    let read = match &scan.read {
        Read::Changes(files) => ReadWords::Changes(files.clone()),
        Read::State { head, commit } => match head.manifest_digest(*commit) {
            Some(digest) => ReadWords::State(*commit, digest.to_owned()),
            None => return not_impl_err!("a commit that is not published is read where it is prepared"),
        },
    };
    Ok(StreamedWords {
        warehouse: scan.warehouse.id(),
        edition: scan.edition.to_string(),
        name: scan.name.clone(),
        read,
        columns: scan.columns.iter().map(|(name, kind)| (name.clone(), kind.to_string())).collect(),
        limit: scan.limit,
    })
}

fn schema_words(schema: &SchemaRef) -> Result<protobuf::Schema> {
    Ok(schema.as_ref().try_into()?)
}

fn schema_of(words: Option<&protobuf::Schema>) -> Result<SchemaRef> {
    let words = words.ok_or_else(|| internal_datafusion_err!("a step arrived without its columns"))?;
    let schema: Schema = words.try_into()?;
    Ok(Arc::new(schema))
}

fn index(place: u64) -> Result<usize> {
    usize::try_from(place).map_err(|_| internal_datafusion_err!("place {place} arrived"))
}
