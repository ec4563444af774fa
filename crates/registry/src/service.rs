//! The registry as a service: one request, one answer.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::BoxError;
use axum::body::Body;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, EXPECT, HeaderName};
use http::{HeaderValue, Method, Request, Response};
use http_body::Body as _;
use tower_service::Service;

use crate::Registry;
use crate::exchange::{self, Exchange};
use crate::failure::Failure;
use crate::router;
use crate::watch::Watch;

/// The distribution protocol on a [`Registry`]; see [`Registry::service`].
#[derive(Clone, Debug)]
pub struct RegistryService {
    pub(crate) registry: Registry,
}

impl<B> Service<Request<B>> for RegistryService
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (parts, body) = request.into_parts();
        let registry = self.registry.clone();
        let mut body = Body::new(body);
        let mut watch = None;
        if let Some(hook) = registry.config().on_request.clone() {
            let (begun, counted) = Watch::begin(hook, body);
            (watch, body) = (Some(begun), counted);
        }
        let mut exchange = Exchange { registry, parts, body: Some(body) };
        Box::pin(async move {
            let response = answer(&mut exchange).await;
            if let Some(watch) = watch {
                watch.tell(&exchange.parts, response.status());
            }
            Ok(response)
        })
    }
}

/// Old clients look for it before they believe that this is a registry.
const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");

async fn answer(exchange: &mut Exchange) -> Response<Body> {
    let result = router::route(exchange).await;
    // A client that waits for leave to send its body is not given it just to be refused.
    let waits = exchange.header(&EXPECT).is_some();
    if let Some(body) = exchange.body.take().filter(|_| !waits) {
        exchange::leave(body);
    }
    let mut response = result.unwrap_or_else(Failure::into_response);
    response.headers_mut().insert(API_VERSION, HeaderValue::from_static("registry/2.0"));
    if exchange.parts.method == Method::HEAD {
        if let Some(length) = response.body().size_hint().exact().filter(|length| *length > 0) {
            response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        *response.body_mut() = Body::empty();
    }
    response
}
