//! What every adapter shares: source → decode → map → change filter → sink.
//!
//! An adapter knows the broker only as a [`Sink`]. Mapping files say what a source's items become;
//! the [`Pipeline`] carries them to the sink, leaves out what has not changed, and keeps what
//! could not be mapped as dead letters.

mod adapter;
mod change_filter;
mod counters;
mod dead_letter;
mod expression;
mod mapper;
mod mapping_file;
mod mapping_test;
mod model_check;
mod pipeline;
mod preview;
mod sink;
mod sink_http;
pub mod testing;

pub use adapter::{Adapter, AdapterError, ReceiveError, Services};
pub use change_filter::{ChangeFilter, Filtered};
pub use counters::{AdapterMetrics, Counters, Skip};
pub use dead_letter::DeadLetter;
pub use mapper::{Input, Mapper, Note, Unmapped};
pub use mapping_file::{
    AttributeMapping, AttributeSource, Change, Decode, Devices, Encoding, EntityMapping, Fallback,
    FileSource, Format, GbfsSource, Group, HttpPushSource, Located, MappingError, MappingFile,
    MappingTest, ModelCheckMode, ModelCheckSetting, MqttSource, OnMissing, Preset, PresetMap,
    Secret, Source,
};
pub use mapping_test::{TestOutcome, run_tests};
pub use model_check::{ModelCheck, ModelChecking, ModelProblem};
pub use pipeline::{Item, Pipeline, Settled};
pub use preview::{Preview, PreviewCounts};
pub use sink::{Delivery, Rejection, Remembered, Sink, SinkError, StateWrite};
pub use sink_http::HttpSink;
