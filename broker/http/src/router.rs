//! The whole route table.

use axum::Router;
use axum::handler::Handler;
use axum::routing::{MethodRouter, delete, get, patch, post};
use http::{HeaderName, HeaderValue, Method, header};
use musubi_broker::Broker;
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::app::{App, Parts};
use crate::error::Error;
use crate::metrics::Metrics;
use crate::openapi::Description;
use crate::options::HttpOptions;
use crate::problem::Problem;
use crate::request::entity_map::ENTITY_MAP;
use crate::request::preconditions::IF_NEWER;
use crate::request::prefer::{APPLIED, PREFER};
use crate::server::gate::GateLayer;
use crate::{
    adapters, attribute, attribute_types, attributes, backup, batch, contexts, dead_letters, docs,
    entities, entity, entity_maps, entity_query, health, jsonld_contexts, ledger, openapi, page,
    purge, schemas, source_identity, streams, subscriptions, temporal, trace, types,
};

/// The router that serves a broker.
pub fn router(broker: Broker, options: HttpOptions) -> Router {
    let mut registry = options.metrics;
    let metrics = Metrics::register(&mut registry);
    broker.register_metrics(&mut registry);
    let app = App::new(Parts {
        number: App::next_number(),
        broker,
        limits: options.limits,
        hosts: options.hosts,
        origins: options.origins.clone(),
        metrics: registry,
        ready: options.ready,
        page: options.page,
        adapters: options.adapters,
        contexts: options.contexts,
        description: Description::default(),
    });
    let router = Table { router: Router::new(), app: app.clone(), metrics }
        .context_information()
        .temporal()
        .entity_maps()
        .discovery()
        .our_own()
        .finish();
    let router = router.with_state(app);
    if options.origins.is_empty() { router } else { router.layer(cors(&options.origins)) }
}

/// A route table under construction.
struct Table {
    router: Router<App>,
    app: App,
    metrics: Metrics,
}

impl Table {
    /// What the specification rules (CIM 009, clause 6.2).
    fn context_information(self) -> Self {
        self.at(
            "/ngsi-ld/v1/entities",
            post(entities::create).get(entities::query).delete(purge::purge),
        )
        .at(
            "/ngsi-ld/v1/entities/",
            post(entities::create)
                .get(entities::query)
                .delete(purge::purge)
                .put(entities::without_id)
                .patch(entities::without_id),
        )
        .with_slash("/ngsi-ld/v1/entities/{id}", "/ngsi-ld/v1/entities/{id}/", || {
            get(entity::retrieve).delete(entity::delete).patch(entity::merge).put(entity::replace)
        })
        .with_slash("/ngsi-ld/v1/entities/{id}/attrs", "/ngsi-ld/v1/entities/{id}/attrs/", || {
            post(attributes::append).patch(attributes::update)
        })
        .with_slash(
            "/ngsi-ld/v1/entities/{id}/attrs/{attribute}",
            "/ngsi-ld/v1/entities/{id}/attrs/{attribute}/",
            || patch(attribute::update).put(attribute::replace).delete(attribute::delete),
        )
        .at("/ngsi-ld/v1/entityOperations/create", post(batch::create))
        .at("/ngsi-ld/v1/entityOperations/upsert", post(batch::upsert))
        .at("/ngsi-ld/v1/entityOperations/update", post(batch::update))
        .at("/ngsi-ld/v1/entityOperations/merge", post(batch::merge))
        .at("/ngsi-ld/v1/entityOperations/delete", post(batch::delete))
        .at("/ngsi-ld/v1/entityOperations/query", post(entity_query::query))
        .with_slash("/ngsi-ld/v1/subscriptions", "/ngsi-ld/v1/subscriptions/", || {
            post(subscriptions::create).get(subscriptions::list)
        })
        .with_slash(
            "/ngsi-ld/v1/subscriptions/{id}",
            "/ngsi-ld/v1/subscriptions/{id}/",
            || {
                get(subscriptions::retrieve)
                    .patch(subscriptions::update)
                    .delete(subscriptions::delete)
            },
        )
    }

    /// What entities were (CIM 009, clauses 6.18 to 6.24).
    fn temporal(self) -> Self {
        self.with_slash("/ngsi-ld/v1/temporal/entities", "/ngsi-ld/v1/temporal/entities/", || {
            post(temporal::create::create).get(temporal::query::query)
        })
        .with_slash(
            "/ngsi-ld/v1/temporal/entities/{id}",
            "/ngsi-ld/v1/temporal/entities/{id}/",
            || get(temporal::retrieve::retrieve).delete(temporal::create::delete),
        )
        .with_slash(
            "/ngsi-ld/v1/temporal/entities/{id}/attrs",
            "/ngsi-ld/v1/temporal/entities/{id}/attrs/",
            || post(temporal::attributes::add),
        )
        .with_slash(
            "/ngsi-ld/v1/temporal/entities/{id}/attrs/{attribute}",
            "/ngsi-ld/v1/temporal/entities/{id}/attrs/{attribute}/",
            || delete(temporal::attributes::delete),
        )
        .with_slash(
            "/ngsi-ld/v1/temporal/entities/{id}/attrs/{attribute}/{instance}",
            "/ngsi-ld/v1/temporal/entities/{id}/attrs/{attribute}/{instance}/",
            || patch(temporal::instance::correct).delete(temporal::instance::delete),
        )
        .at("/ngsi-ld/v1/temporal/entities//attrs", post(temporal::create::without_id))
        .at(
            "/ngsi-ld/v1/temporal/entities//attrs/{attribute}",
            delete(temporal::create::without_id),
        )
        .at(
            "/ngsi-ld/v1/temporal/entities//attrs/{attribute}/{instance}",
            patch(temporal::create::without_id).delete(temporal::create::without_id),
        )
        .at(
            "/ngsi-ld/v1/temporal/entities/{id}/attrs//{instance}",
            delete(temporal::create::without_id),
        )
        .at("/ngsi-ld/v1/temporal/entityOperations/query", post(temporal::query::posted))
    }

    /// What queries found (CIM 009, clauses 6.32, 6.34 and 6.35).
    fn entity_maps(self) -> Self {
        self.with_slash("/ngsi-ld/v1/entityMaps", "/ngsi-ld/v1/entityMaps/", || {
            get(entity_maps::create).post(entity_maps::create_posted)
        })
        .with_slash("/ngsi-ld/v1/temporal/entityMaps", "/ngsi-ld/v1/temporal/entityMaps/", || {
            get(entity_maps::create_temporal).post(entity_maps::create_temporal_posted)
        })
        .with_slash("/ngsi-ld/v1/entityMaps/{id}", "/ngsi-ld/v1/entityMaps/{id}/", || {
            get(entity_maps::retrieve).patch(entity_maps::update).delete(entity_maps::delete)
        })
    }

    /// What types, attributes and contexts there are, and who says so (CIM 009, clauses 6.25 to 6.30
    /// and 6.33).
    fn discovery(self) -> Self {
        self.with_slash("/ngsi-ld/v1/types", "/ngsi-ld/v1/types/", || get(types::list))
            .with_slash("/ngsi-ld/v1/types/{type}", "/ngsi-ld/v1/types/{type}/", || {
                get(types::retrieve)
            })
            .with_slash("/ngsi-ld/v1/attributes", "/ngsi-ld/v1/attributes/", || {
                get(attribute_types::list)
            })
            .with_slash(
                "/ngsi-ld/v1/attributes/{attribute}",
                "/ngsi-ld/v1/attributes/{attribute}/",
                || get(attribute_types::retrieve),
            )
            .with_slash(
                "/ngsi-ld/v1/info/sourceIdentity",
                "/ngsi-ld/v1/info/sourceIdentity/",
                || get(source_identity::retrieve),
            )
            .at(
                "/ngsi-ld/v1/jsonldContexts",
                post(jsonld_contexts::create).get(jsonld_contexts::list),
            )
            .at(
                "/ngsi-ld/v1/jsonldContexts/",
                post(jsonld_contexts::create)
                    .get(jsonld_contexts::list)
                    .delete(jsonld_contexts::without_id),
            )
            .with_slash(
                "/ngsi-ld/v1/jsonldContexts/{id}",
                "/ngsi-ld/v1/jsonldContexts/{id}/",
                || get(jsonld_contexts::retrieve).delete(jsonld_contexts::delete),
            )
    }

    /// What the specification knows nothing of.
    fn our_own(self) -> Self {
        self.at("/", get(page::show))
            .at("/docs", get(docs::show))
            .at("/openapi.json", get(openapi::show))
            .at("/health/live", get(health::live))
            .at("/health/ready", get(health::ready))
            .at("/metrics", get(health::metrics))
            .at("/musubi/v1/adapters", get(adapters::list))
            .at("/musubi/v1/backup", get(backup::make))
            .at("/musubi/v1/contexts/{name}", get(contexts::retrieve))
            .at("/musubi/v1/adapters/{name}", get(adapters::retrieve))
            .at("/musubi/v1/adapters/{name}/{what}", post(adapters::receive))
            .at("/musubi/v1/dead-letters", get(dead_letters::list).delete(dead_letters::purge))
            .at(
                "/musubi/v1/dead-letters/{id}",
                get(dead_letters::retrieve).delete(dead_letters::delete),
            )
            .at("/musubi/v1/dead-letters/{id}/replay", post(dead_letters::replay))
            .at("/musubi/v1/dead-letters/replay", post(dead_letters::replay_many))
            .at("/musubi/v1/history/entities", post(temporal::import::import))
            .at("/musubi/v1/schemas", get(schemas::list))
            .at(
                "/musubi/v1/schemas/{type}",
                get(schemas::retrieve).put(schemas::put).delete(schemas::delete),
            )
            .at("/musubi/v1/streams/{id}", get(streams::follow))
            .at("/musubi/v1/subscriptions", get(ledger::list))
            .at("/musubi/v1/subscriptions/{id}/ledger", get(ledger::show))
            .at("/musubi/v1/subscriptions/{id}/trace", get(trace::show))
    }

    fn at(mut self, path: &'static str, methods: MethodRouter<App>) -> Self {
        let gate = self.gate(path);
        self.router = self.router.route(path, methods.fallback(method_not_allowed).layer(gate));
        self
    }

    /// A route with and without a slash at its end.
    fn with_slash(
        self,
        path: &'static str,
        slashed: &'static str,
        methods: impl Fn() -> MethodRouter<App>,
    ) -> Self {
        self.at(path, methods()).at(slashed, methods())
    }

    fn finish(self) -> Router<App> {
        let gate = self.gate("");
        self.router.fallback(no_such_path.layer(gate))
    }

    fn gate(&self, path: &'static str) -> GateLayer {
        GateLayer::new(self.app.clone(), self.metrics.route(path))
    }
}

async fn method_not_allowed() -> Problem {
    Error::MethodNotAllowed.into()
}

async fn no_such_path() -> Problem {
    Error::NoSuchPath.into()
}

/// What web pages of other origins may do here.
fn cors(origins: &[String]) -> CorsLayer {
    let origins: Vec<HeaderValue> =
        origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()).collect();
    let tenant = HeaderName::from_static("ngsild-tenant");
    let count = HeaderName::from_static("ngsild-results-count");
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_methods([Method::GET, Method::POST, Method::PATCH, Method::PUT, Method::DELETE])
        .allow_headers([
            header::ACCEPT,
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            header::IF_MATCH,
            header::IF_NONE_MATCH,
            header::LINK,
            streams::LAST_EVENT_ID,
            IF_NEWER,
            PREFER,
            ENTITY_MAP,
            tenant.clone(),
        ])
        .expose_headers([
            header::CONTENT_RANGE,
            header::ETAG,
            header::LINK,
            header::LOCATION,
            header::RETRY_AFTER,
            APPLIED,
            ENTITY_MAP,
            tenant,
            count,
            schemas::WARNING,
            temporal::page::WARNING,
        ])
}
