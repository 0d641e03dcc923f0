//! What surrounds every handler: the name under which the server is called, a panic that becomes
//! an answer, the tenant and the media type of problems, a span, and the metrics.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderValue, Uri, header};
use musubi_broker::SchemaWarnings;
use tokio::time::Instant;
use tower::{Layer, Service};
use tracing::Instrument;

use crate::app::App;
use crate::error::Error;
use crate::metrics::RouteMetrics;
use crate::options::Hosts;
use crate::problem::{IsProblem, PROBLEM_JSON, Problem};
use crate::request::accept;
use crate::schemas;
use crate::session::TENANT;

/// Puts a [`Gate`] around the handlers of one route.
#[derive(Clone, Debug)]
pub(crate) struct GateLayer(Arc<Surroundings>);

#[derive(Debug)]
struct Surroundings {
    app: App,
    metrics: RouteMetrics,
}

impl GateLayer {
    /// What puts gates around the handlers of the route with these metrics.
    pub(crate) fn new(app: App, metrics: RouteMetrics) -> Self {
        Self(Arc::new(Surroundings { app, metrics }))
    }
}

impl<S> Layer<S> for GateLayer {
    type Service = Gate<S>;

    fn layer(&self, inner: S) -> Gate<S> {
        Gate { inner, layer: self.clone() }
    }
}

/// The surroundings of the handlers of one route.
#[derive(Clone, Debug)]
pub(crate) struct Gate<S> {
    inner: S,
    layer: GateLayer,
}

impl<S> Service<Request> for Gate<S>
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        let GateLayer(around) = self.layer.clone();
        let started = Instant::now();
        let method = request.method().clone();
        let wishes = Wishes::of(&mut request, &around.app);
        let span = tracing::debug_span!(
            "request",
            request.id = NUMBER.fetch_add(1, Ordering::Relaxed),
            route = around.metrics.route,
            method = %method,
        );
        let answer = match check_name(&around.app, &request) {
            Ok(()) => Ok(AssertUnwindSafe(self.inner.call(request)).catch_unwind()),
            Err(error) => Err(error),
        };
        let answered = async move {
            let response = match answer {
                Err(error) => Problem::from(error).into_response(),
                Ok(answer) => match answer.await {
                    Ok(Ok(response)) => response,
                    Err(_panic) => Problem::from(Error::Panicked).into_response(),
                },
            };
            let response = wishes.grant(response);
            let duration = started.elapsed();
            around.metrics.count(&method, response.status(), duration);
            tracing::debug!(
                status = response.status().as_u16(),
                duration_us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX),
                "answered"
            );
            Ok(response)
        };
        Box::pin(answered.instrument(span))
    }
}

/// What a request asks of every answer alike.
struct Wishes {
    tenant: Option<HeaderValue>,
    problem_json: bool,
    /// What is wrong with a write, if there are schemas that something can be wrong with.
    warnings: Option<SchemaWarnings>,
}

impl Wishes {
    fn of(request: &mut Request, app: &App) -> Self {
        let watched = !request.method().is_safe() && app.broker.has_schemas();
        let warnings = watched.then(SchemaWarnings::default);
        if let Some(warnings) = &warnings {
            request.extensions_mut().insert(warnings.clone());
        }
        let headers = request.headers();
        Self {
            warnings,
            tenant: headers.get(TENANT).cloned(),
            problem_json: accept::wants_problem_json(headers),
        }
    }

    fn grant(self, mut response: Response) -> Response {
        if let Some(warnings) = &self.warnings {
            schemas::warn(response.headers_mut(), warnings);
        }
        if let Some(tenant) = self.tenant {
            response.headers_mut().insert(TENANT, tenant);
        }
        if self.problem_json && response.extensions().get::<IsProblem>().is_some() {
            response.headers_mut().insert(header::CONTENT_TYPE, PROBLEM_JSON);
        }
        response
    }
}

fn check_name(app: &App, request: &Request) -> Result<(), Error> {
    let Hosts::LoopbackAnd(named) = &app.hosts else { return Ok(()) };
    check_host(named, request.headers(), request.uri())?;
    if request.method().is_safe() {
        return Ok(());
    }
    check_origin(named, &app.origins, request.headers())
}

/// Refuses a change that a web page of another origin asks for. The browser keeps the answer from
/// that page, but for some media types it does send the request. Nobody but browsers names an
/// origin.
pub(crate) fn check_origin(
    named: &[String],
    origins: &[String],
    headers: &HeaderMap,
) -> Result<(), Error> {
    for value in headers.get_all(header::ORIGIN) {
        let origin = value.to_str().unwrap_or_default();
        let host = origin.split_once("://").map_or(origin, |(_, host)| host);
        if !is_ours(host, named) && !origins.iter().any(|ours| ours == origin) {
            return Err(Error::ForeignOrigin(origin.to_owned()));
        }
    }
    Ok(())
}

/// Refuses a request that was sent to another name, because a web page can make a browser send
/// requests here under any name that it owns. No browser leaves the name out.
fn check_host(named: &[String], headers: &HeaderMap, uri: &Uri) -> Result<(), Error> {
    let mut called = headers.get_all(header::HOST).iter().map(|value| value.to_str().ok());
    let target = uri.authority().map(|authority| Some(authority.as_str()));
    let wrong = called.find(|host| !host.is_some_and(|host| is_ours(host, named)));
    let wrong = wrong.or(target.filter(|host| !host.is_some_and(|host| is_ours(host, named))));
    match wrong {
        None => Ok(()),
        Some(host) => Err(Error::Misdirected(host.unwrap_or_default().to_owned())),
    }
}

fn is_ours(host: &str, named: &[String]) -> bool {
    let name = without_port(host);
    let address = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || address.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        || named.iter().any(|ours| {
            ours.eq_ignore_ascii_case(host) || without_port(ours).eq_ignore_ascii_case(name)
        })
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        Some(_) | None => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_and_named_hosts_are_ours() {
        let named = vec!["broker.example.jp:1026".to_owned(), "192.0.2.7:1026".to_owned()];
        for host in [
            "localhost",
            "localhost:1026",
            "127.0.0.1:1026",
            "127.1.2.3",
            "[::1]:1026",
            "[::1]",
            "broker.example.jp:1026",
            "192.0.2.7:1026",
            "LOCALHOST:80",
        ] {
            assert!(is_ours(host, &named), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example:1026",
            "",
            "192.0.2.8:1026",
            "evil.example:1026",
            "10.0.0.1",
        ] {
            assert!(!is_ours(host, &named), "{host}");
        }
    }
}
