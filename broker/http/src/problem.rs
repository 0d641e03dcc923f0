//! Errors as problem details (the members of RFC 9457): the only place that gives an error its
//! HTTP status and its NGSI-LD error type (CIM 009, clause 6.3.2). The media type is
//! `application/json`, as that clause says, unless the client asks for `application/problem+json`.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use musubi_broker::StoreError;
use musubi_context::ContextError;
use musubi_query::AggregationRefusal;
use serde::Serialize;

use crate::error::Error;

pub(crate) const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const ACCEPTED: HeaderValue = HeaderValue::from_static("application/json, application/ld+json");
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// An error on its way to the client.
#[derive(Debug)]
pub(crate) struct Problem(Error);

impl<E> From<E> for Problem
where
    Error: From<E>,
{
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

/// What the client reads about an error.
#[derive(Debug, Serialize)]
pub(crate) struct Details {
    r#type: String,
    title: &'static str,
    status: u16,
    detail: String,
}

impl Details {
    /// What a client reads about an error; logs the cause, once, if the fault is ours.
    pub(crate) fn of(error: &Error) -> Self {
        Self::new(kind(error), error)
    }

    /// As [`of`](Self::of), for what an operation says.
    pub(crate) fn of_broker(error: &musubi_broker::Error) -> Self {
        Self::new(broker_kind(error), error)
    }

    fn new((status, name, title): Kind, error: &dyn std::error::Error) -> Self {
        let ours = status == StatusCode::INTERNAL_SERVER_ERROR;
        let detail = if ours {
            tracing::error!(error = ?error, "answering 500: {error}");
            "the cause is in the log of the server".to_owned()
        } else {
            error.to_string()
        };
        let r#type = format!("https://uri.etsi.org/ngsi-ld/errors/{name}");
        Self { r#type, title, status: status.as_u16(), detail }
    }
}

/// Marks an answer as a problem.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IsProblem;

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, ..) = kind(&self.0);
        // Clause 6.3.4: these two come without a body.
        let bare = matches!(self.0, Error::LengthRequired | Error::UnsupportedMediaType);
        let body = if bare { Vec::new() } else { body(&Details::of(&self.0)) };
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        if !bare {
            headers.insert(header::CONTENT_TYPE, JSON);
        }
        if status == StatusCode::UNSUPPORTED_MEDIA_TYPE {
            headers.insert(header::ACCEPT, ACCEPTED);
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, RETRY_AFTER);
        }
        if !bare {
            response.extensions_mut().insert(IsProblem);
        }
        response
    }
}

fn body(details: &Details) -> Vec<u8> {
    // Four plain members cannot fail to be written.
    serde_json::to_vec(details).unwrap_or_default()
}

/// Status, NGSI-LD error type and title.
type Kind = (StatusCode, &'static str, &'static str);

fn kind(error: &Error) -> Kind {
    match error {
        Error::InvalidRequest(_) => {
            (StatusCode::BAD_REQUEST, "InvalidRequest", "The request is not valid")
        }
        Error::BadRequestData(_) => {
            (StatusCode::BAD_REQUEST, "BadRequestData", "The data of the request is not valid")
        }
        Error::Context(error) => context_kind(error),
        Error::NoSuchPath | Error::NotFound(_) => {
            (StatusCode::NOT_FOUND, "ResourceNotFound", "Not found")
        }
        Error::MethodNotAllowed => {
            (StatusCode::METHOD_NOT_ALLOWED, "InvalidRequest", "Method not allowed")
        }
        Error::NotAcceptable(_) => {
            (StatusCode::NOT_ACCEPTABLE, "InvalidRequest", "No acceptable representation")
        }
        Error::LengthRequired => (StatusCode::LENGTH_REQUIRED, "InvalidRequest", "Length required"),
        Error::TooLarge(_) => {
            (StatusCode::PAYLOAD_TOO_LARGE, "InvalidRequest", "The body is too large")
        }
        Error::UnsupportedMediaType => {
            (StatusCode::UNSUPPORTED_MEDIA_TYPE, "InvalidRequest", "Unsupported media type")
        }
        Error::TooSlow => (StatusCode::REQUEST_TIMEOUT, "InvalidRequest", "The body came too late"),
        Error::TooManyResults(_) => (StatusCode::FORBIDDEN, "TooManyResults", "Too many results"),
        Error::TooComplex(_) => {
            (StatusCode::FORBIDDEN, "TooComplexQuery", "The query is too complex")
        }
        Error::Misdirected(_) => {
            (StatusCode::MISDIRECTED_REQUEST, "InvalidRequest", "Not a name of this server")
        }
        Error::ForeignOrigin(_) | Error::ForeignSite => {
            (StatusCode::FORBIDDEN, "InvalidRequest", "Not from a page of this origin")
        }
        Error::Unavailable(_) => {
            (StatusCode::SERVICE_UNAVAILABLE, "InternalError", "Not available now")
        }
        Error::Panicked => (StatusCode::INTERNAL_SERVER_ERROR, "InternalError", "Internal error"),
        Error::Broker(error) => broker_kind(error),
    }
}

fn broker_kind(error: &musubi_broker::Error) -> Kind {
    use musubi_broker::Error as Broker;
    match error {
        Broker::BadRequestData(_) => {
            (StatusCode::BAD_REQUEST, "BadRequestData", "The data of the request is not valid")
        }
        Broker::AlreadyExists(_) => (StatusCode::CONFLICT, "AlreadyExists", "Already exists"),
        Broker::ResourceNotFound(_) => (StatusCode::NOT_FOUND, "ResourceNotFound", "Not found"),
        Broker::PreconditionFailed(_) => (
            StatusCode::PRECONDITION_FAILED,
            "InvalidRequest",
            "A condition of the request does not hold",
        ),
        Broker::NonexistentTenant(_) => {
            (StatusCode::NOT_FOUND, "NonexistentTenant", "No such tenant")
        }
        Broker::Forbidden(_) => (StatusCode::FORBIDDEN, "InvalidRequest", "Not allowed"),
        Broker::Context(error) => context_kind(error),
        Broker::NotSupported(_) | Broker::NoHistory => {
            (StatusCode::UNPROCESSABLE_ENTITY, "OperationNotSupported", "Not supported")
        }
        Broker::Aggregation(AggregationRefusal::NotApplicable { .. }) => {
            (StatusCode::BAD_REQUEST, "InvalidRequest", "The request is not valid")
        }
        Broker::TooManyResults(_) => (StatusCode::FORBIDDEN, "TooManyResults", "Too many results"),
        Broker::Contended(_) => {
            (StatusCode::SERVICE_UNAVAILABLE, "InternalError", "Changed by others meanwhile")
        }
        Broker::Exhausted(_) => {
            (StatusCode::SERVICE_UNAVAILABLE, "InternalError", "Too many at once")
        }
        Broker::NotReplayed(_) => (StatusCode::CONFLICT, "Conflict", "Refused again"),
        Broker::Store(StoreError::Unavailable { .. }) => {
            (StatusCode::SERVICE_UNAVAILABLE, "InternalError", "The store is not available now")
        }
        Broker::Store(StoreError::Full) => {
            (StatusCode::INSUFFICIENT_STORAGE, "InternalError", "No room to write")
        }
        Broker::TooComplex(_)
        | Broker::Store(StoreError::TooComplex(_))
        | Broker::Aggregation(AggregationRefusal::TooMany | AggregationRefusal::TooManyDistinct) => {
            (StatusCode::FORBIDDEN, "TooComplexQuery", "The query is too complex")
        }
        Broker::Store(StoreError::Failed { .. }) | Broker::Internal(_) => {
            (StatusCode::INTERNAL_SERVER_ERROR, "InternalError", "Internal error")
        }
    }
}

fn context_kind(error: &ContextError) -> Kind {
    match error {
        ContextError::Invalid(_) => {
            (StatusCode::BAD_REQUEST, "BadRequestData", "The @context is not valid")
        }
        ContextError::NotAvailable { .. } => {
            (StatusCode::GATEWAY_TIMEOUT, "LdContextNotAvailable", "The @context is not available")
        }
    }
}
