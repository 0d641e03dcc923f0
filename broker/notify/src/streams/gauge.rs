//! What `/metrics` shows of the streams.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::Streams;

/// How many streams there are, counted when it is asked.
#[derive(Debug)]
pub(crate) struct StreamGauge(pub(crate) Streams);

impl Collector for StreamGauge {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), std::fmt::Error> {
        let help = "Clients that follow a stream";
        let metric = encoder.encode_descriptor("streams", help, None, MetricType::Gauge)?;
        ConstGauge::new(i64::try_from(self.0.count()).unwrap_or(i64::MAX)).encode(metric)
    }
}
