//! Who is let into a registry for tests, and how the others are told to log in.

use axum::body::Body;
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};

use crate::call::{Call, Head};
use crate::office::{TokenError, credentials};
use crate::scope::{Scope, needed};
use crate::server::refuse;
use crate::token::{SERVICE, TokenServer};

/// Who is let in.
#[derive(Clone, Default)]
pub enum Auth {
    /// Everybody.
    #[default]
    Open,
    /// Who knows this user and password, by `Basic`.
    Basic {
        /// The user.
        user: String,
        /// The password.
        password: String,
    },
    /// Who has a token that is good for what is asked.
    Bearer(Bearer),
}

/// Where tokens come from, and how the registry asks for them.
#[derive(Clone)]
pub struct Bearer {
    /// Who gives them.
    pub tokens: TokenServer,
    /// The values of `WWW-Authenticate`. `{realm}`, `{service}`, `{scope}` and `{error}` are put
    /// in; the last is empty or begins with a comma.
    pub challenges: Vec<String>,
    /// The realm to name instead of the token server's own: a link in front of it, say.
    pub realm: Option<String>,
}

impl Bearer {
    /// With a plain challenge: realm, service and scope.
    #[must_use]
    pub fn new(tokens: &TokenServer) -> Bearer {
        let challenge =
            "Bearer realm=\"{realm}\",service=\"{service}\",scope=\"{scope}\"{error}".to_owned();
        Bearer { tokens: tokens.clone(), challenges: vec![challenge], realm: None }
    }
}

impl Auth {
    /// The answer to one who is not let in.
    pub(crate) fn refusal(&self, head: &Head) -> Option<Response<Body>> {
        if head.target.call == Call::Token {
            return None;
        }
        match self {
            Auth::Open => None,
            Auth::Basic { user, password } => {
                let is_known = credentials(head) == Some((user.clone(), password.clone()));
                (!is_known).then(|| challenged(&["Basic realm=\"test\"".to_owned()]))
            }
            Auth::Bearer(bearer) => bearer.refusal(head),
        }
    }
}

impl Bearer {
    fn refusal(&self, head: &Head) -> Option<Response<Body>> {
        let needed = needed(head);
        let token = head.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let error = match token.and_then(|value| value.strip_prefix("Bearer ")) {
            None => "",
            Some(token) => match self.tokens.office().check(token, &needed) {
                Ok(()) => return None,
                Err(TokenError::Invalid) => ",error=\"invalid_token\"",
                Err(TokenError::Insufficient) => ",error=\"insufficient_scope\"",
            },
        };
        let realm = self.realm.clone().unwrap_or_else(|| self.tokens.realm());
        let scopes: Vec<_> = needed.iter().map(Scope::to_string).collect();
        let challenges: Vec<_> = self
            .challenges
            .iter()
            .map(|challenge| {
                let challenge = challenge.replace("{realm}", &realm);
                let challenge = challenge.replace("{service}", SERVICE).replace("{error}", error);
                if scopes.is_empty() {
                    challenge.replace(",scope=\"{scope}\"", "")
                } else {
                    challenge.replace("{scope}", &scopes.join(" "))
                }
            })
            .collect();
        Some(challenged(&challenges))
    }
}

fn challenged(challenges: &[String]) -> Response<Body> {
    let mut response = refuse(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", "authentication required");
    for challenge in challenges {
        let value = HeaderValue::from_str(challenge).expect("a header's value");
        response.headers_mut().append(WWW_AUTHENTICATE, value);
    }
    response
}
