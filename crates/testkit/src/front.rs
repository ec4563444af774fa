//! What stands before the embedded registry: the door, and the ways of other registries.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use axum::body::Body;
use futures_util::future::BoxFuture;
use http::header::{CONTENT_RANGE, HOST, LOCATION};
use http::{Method, Request, Response, StatusCode, Uri};
use tower_service::Service;
use windlass_registry::RegistryService;

use crate::auth::Auth;
use crate::body::{Progress, RequestBody};
use crate::call::{Call, Head};
use crate::modes::{Modes, Mount, Sessions};
use crate::server::{Handler, refuse};

/// The registry as it shows itself to the world.
#[derive(Clone)]
pub(crate) struct Front {
    service: RegistryService,
    modes: Modes,
    auth: Auth,
    sessions: Arc<Mutex<Known>>,
}

/// What is known of upload sessions.
#[derive(Default)]
struct Known {
    /// They answer 404 for good.
    dead: HashSet<String>,
    /// Bodies that are being read.
    live: HashMap<String, Arc<Progress>>,
}

impl Front {
    pub(crate) fn new(service: RegistryService, modes: Modes, auth: Auth) -> Front {
        Front { service, modes, auth, sessions: Arc::default() }
    }
}

impl Handler for Front {
    fn refusal(&self, head: &Head) -> Option<Response<Body>> {
        self.auth.refusal(head)
    }

    fn handle(
        &self,
        head: Head,
        request: Request<RequestBody>,
    ) -> BoxFuture<'static, Response<Body>> {
        let front = self.clone();
        Box::pin(async move { front.answer(&head, request).await })
    }
}

impl Front {
    async fn answer(&self, head: &Head, mut request: Request<RequestBody>) -> Response<Body> {
        if head.target.call == Call::Token
            && let Auth::Bearer(bearer) = &self.auth
        {
            return bearer.tokens.office().answer(head, request.into_body()).await;
        }
        if let Some(refusal) = self.refusal_of_kind(head) {
            return refusal;
        }
        if head.target.call == Call::UploadMount && self.modes.mount == Mount::StartsUpload {
            *request.uri_mut() = without_query(request.uri());
        }
        if head.target.call == Call::ManifestPut {
            *request.uri_mut() = with_tags(request.uri(), self.modes.tags_at_once);
        }
        if self.modes.ignores_content_range {
            request.headers_mut().remove(CONTENT_RANGE);
        }
        let limit = self.modes.max_body.filter(|_| is_upload(head));
        if let Some(limit) = limit {
            // Only a body of unknown length is still here and can be longer.
            request = request.map(|body| body.cut(limit + 1, async {}));
        }
        let progress = request.body().progress();
        let response = self.watch(head, request).await;
        match limit {
            Some(limit) if progress.received() > limit => too_large(),
            _ => response,
        }
    }

    /// What a registry of this kind does not do.
    fn refusal_of_kind(&self, head: &Head) -> Option<Response<Body>> {
        let modes = &self.modes;
        match (head.target.call, modes.mount) {
            (Call::UploadPatch, _) if modes.refuses_patch => {
                let status = StatusCode::METHOD_NOT_ALLOWED;
                return Some(refuse(status, "UNSUPPORTED", "no chunks here"));
            }
            (Call::UploadMount, Mount::Refuses(status)) => {
                return Some(refuse(status, "DENIED", "no mounts here"));
            }
            (Call::UploadMount, Mount::Pretends) => return Some(mounted(head)),
            _ => {}
        }
        if is_upload(head) && modes.max_body.is_some_and(|most| head.content_length() > Some(most))
        {
            return Some(too_large());
        }
        let session = session_of(head)?;
        let sessions = self.sessions.lock().unwrap();
        let is_busy = sessions.live.get(session).is_some_and(|body| body.received() > 0);
        let is_dead = sessions.dead.contains(session);
        match modes.sessions {
            Sessions::TurnStale if is_busy || is_dead => {
                Some(refuse(StatusCode::NOT_FOUND, "BLOB_UPLOAD_INVALID", "blob upload invalid"))
            }
            Sessions::Delete if is_dead => {
                Some(refuse(StatusCode::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN", "no such upload"))
            }
            _ => None,
        }
    }

    /// Has a request answered, and ends the session whose body breaks.
    async fn watch(&self, head: &Head, request: Request<RequestBody>) -> Response<Body> {
        let mut service = self.service.clone();
        let has_body = matches!(head.target.call, Call::UploadPatch | Call::UploadPut);
        let session = session_of(head).filter(|_| has_body).map(str::to_owned);
        let progress = request.body().progress();
        if let Some(session) = &session {
            let body = Arc::clone(&progress);
            self.sessions.lock().unwrap().live.insert(session.clone(), body);
        }
        let response = service.call(request).await.unwrap_or_else(|never| match never {});
        if let Some(session) = session {
            let is_broken = progress.is_broken() && progress.received() > 0;
            {
                let mut sessions = self.sessions.lock().unwrap();
                sessions.live.remove(&session);
                if is_broken && self.modes.sessions != Sessions::Keep {
                    sessions.dead.insert(session);
                }
            }
            if is_broken && self.modes.sessions == Sessions::Delete {
                let delete = Request::builder().method(Method::DELETE).uri(path_of(head));
                let delete = delete.body(Body::empty()).expect("a request");
                let _ = service.call(delete).await;
            }
        }
        response
    }
}

fn is_upload(head: &Head) -> bool {
    matches!(head.target.call, Call::UploadPost | Call::UploadPatch | Call::UploadPut)
}

fn too_large() -> Response<Body> {
    refuse(StatusCode::PAYLOAD_TOO_LARGE, "SIZE_INVALID", "the body is too large")
}

fn mounted(head: &Head) -> Response<Body> {
    let repository = head.target.repository.as_deref().unwrap_or_default();
    let digest = head.target.reference.as_deref().unwrap_or_default();
    let host = head.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let location = format!("http://{host}/v2/{repository}/blobs/{digest}");
    let response = Response::builder().status(StatusCode::CREATED).header(LOCATION, location);
    response.header("docker-content-digest", digest).body(Body::empty()).expect("a response")
}

fn path_of(head: &Head) -> &str {
    head.path.split('?').next().unwrap_or_default()
}

/// The session in a request's path.
fn session_of(head: &Head) -> Option<&str> {
    let (_, session) = path_of(head).rsplit_once("/blobs/uploads/")?;
    (!session.is_empty() && head.target.repository.is_some()).then_some(session)
}

/// Without the tags of the query after the first `most`.
fn with_tags(uri: &Uri, most: usize) -> Uri {
    let tags = uri.query().unwrap_or_default().split('&').filter(|field| field.starts_with("tag="));
    let tags: Vec<_> = tags.take(most).collect();
    let path = format!("{}?{}", uri.path(), tags.join("&"));
    path.parse().expect("the path of an address is one")
}

fn without_query(uri: &Uri) -> Uri {
    uri.path().parse().expect("the path of an address is one")
}
