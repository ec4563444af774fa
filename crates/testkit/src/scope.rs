//! What a token allows. Distribution's [scope grammar], as far as repositories need it.
//!
//! [scope grammar]: https://github.com/distribution/distribution/blob/v3.0.0/docs/content/spec/auth/scope.md

use std::collections::BTreeSet;
use std::fmt;

use http::Method;

use crate::call::{Call, Head, field, unescape};

/// Actions on one repository: `repository:a/b:pull,push`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The repository; `*` stands for all where it is granted.
    pub repository: String,
    /// The actions.
    pub actions: BTreeSet<String>,
}

impl Scope {
    /// A scope of these actions.
    #[must_use]
    pub fn new(repository: &str, actions: &[&str]) -> Scope {
        let actions = actions.iter().map(|&action| action.to_owned()).collect();
        Scope { repository: repository.to_owned(), actions }
    }

    /// Reads one; `None` where it is no repository's.
    #[must_use]
    pub fn parse(text: &str) -> Option<Scope> {
        let (kind, rest) = text.split_once(':')?;
        let (repository, actions) = rest.rsplit_once(':')?;
        let actions: Vec<_> = actions.split(',').filter(|action| !action.is_empty()).collect();
        (kind == "repository").then(|| Scope::new(repository, &actions))
    }

    /// As much of it as `granted` allows.
    pub(crate) fn within(&self, granted: &[Scope]) -> Scope {
        let allowed = |action: &&String| {
            granted.iter().any(|scope| {
                (scope.repository == self.repository || scope.repository == "*")
                    && (scope.actions.contains(*action) || scope.actions.contains("*"))
            })
        };
        let actions = self.actions.iter().filter(allowed).cloned().collect();
        Scope { repository: self.repository.clone(), actions }
    }

    /// Whether `granted` allows all of it.
    pub(crate) fn is_within(&self, granted: &[Scope]) -> bool {
        self.within(granted) == *self
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let actions: Vec<_> = self.actions.iter().map(String::as_str).collect();
        write!(f, "repository:{}:{}", self.repository, actions.join(","))
    }
}

/// What a request needs, as distribution sees it: to write is `pull,push`, and a mount needs to
/// read the other repository too.
pub(crate) fn needed(head: &Head) -> Vec<Scope> {
    let Some(repository) = &head.target.repository else { return Vec::new() };
    let actions: &[&str] = match head.method {
        Method::GET | Method::HEAD => &["pull"],
        Method::DELETE if head.target.call != Call::UploadDelete => &["delete"],
        _ => &["pull", "push"],
    };
    let mut scopes = vec![Scope::new(repository, actions)];
    if head.target.call == Call::UploadMount {
        let query = head.path.split_once('?').map_or("", |(_, query)| query);
        let from = field(query, "from").map(unescape);
        scopes.extend(from.map(|from| Scope::new(&from, &["pull"])));
    }
    scopes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::{Head, Target};
    use http::HeaderMap;

    #[test]
    fn scopes_are_read_and_written() {
        let check = |text: &str| assert_eq!(Scope::parse(text).unwrap().to_string(), text);
        check("repository:a/b:pull,push");
        check("repository:host:5000/a:pull");
        assert_eq!(Scope::parse("registry:catalog:*"), None);
        assert_eq!(Scope::parse("repository:a"), None);
        assert_eq!(Scope::parse("nonsense"), None);
    }

    #[test]
    fn grants_shrink_what_is_asked() {
        let asked = Scope::new("a", &["pull", "push"]);
        let check = |granted: &[Scope], expected: &[&str]| {
            assert_eq!(asked.within(granted), Scope::new("a", expected));
        };
        check(&[], &[]);
        check(&[Scope::new("a", &["pull"])], &["pull"]);
        check(&[Scope::new("b", &["pull"]), Scope::new("*", &["push"])], &["push"]);
        check(&[Scope::new("*", &["*"])], &["pull", "push"]);
    }

    #[track_caller]
    fn check_needed(method: &str, path: &str, expected: &str) {
        let method: Method = method.parse().unwrap();
        let (bare, query) = path.split_once('?').unwrap_or((path, ""));
        let target = Target::of(&method, bare, query);
        let head = Head { method, path: path.to_owned(), target, headers: HeaderMap::new() };
        let scopes: Vec<_> = needed(&head).iter().map(Scope::to_string).collect();
        assert_eq!(scopes.join(" "), expected);
    }

    #[test]
    fn requests_need_what_distribution_asks_for() {
        check_needed("GET", "/v2/", "");
        check_needed("HEAD", "/v2/a/blobs/sha256:0", "repository:a:pull");
        check_needed("POST", "/v2/a/blobs/uploads/", "repository:a:pull,push");
        check_needed(
            "POST",
            "/v2/a/blobs/uploads/?mount=sha256:0&from=b%2Fc",
            "repository:a:pull,push repository:b/c:pull",
        );
        check_needed("PUT", "/v2/a/manifests/v1", "repository:a:pull,push");
        check_needed("DELETE", "/v2/a/manifests/v1", "repository:a:delete");
        check_needed("DELETE", "/v2/a/blobs/uploads/u", "repository:a:pull,push");
    }
}
