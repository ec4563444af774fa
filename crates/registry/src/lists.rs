//! Lists of tags and repositories, page by page. Distribution-spec, §"Listing Tags".

use axum::body::Body;
use http::Response;
use http::header::LINK;
use serde_json::json;
use windlass_oci::RepositoryName;

use crate::exchange::{self, Exchange};
use crate::failure::Failure;
use crate::manifests::name_unknown;
use crate::query::Query;

/// `GET …/tags/list`.
pub(crate) async fn tags(
    exchange: &mut Exchange,
    repository: RepositoryName,
) -> Result<Response<Body>, Failure> {
    let wanted = Wanted::read(&exchange.query())?;
    let name = repository.clone();
    let tags = exchange.blocking(move |inner| inner.store.tags(&name)).await?;
    let tags = tags.ok_or_else(name_unknown)?;
    let page = wanted.page(tags.iter().map(windlass_oci::Tag::as_str));
    let body = json!({ "name": repository.as_str(), "tags": page.entries });
    page.respond(&format!("/v2/{repository}/tags/list"), &body)
}

/// `GET /v2/_catalog`.
pub(crate) async fn catalog(exchange: &mut Exchange) -> Result<Response<Body>, Failure> {
    let wanted = Wanted::read(&exchange.query())?;
    let repositories = exchange.blocking(|inner| inner.store.repositories()).await?;
    let page = wanted.page(repositories.iter().map(RepositoryName::as_str));
    let body = json!({ "repositories": page.entries });
    page.respond("/v2/_catalog", &body)
}

/// Which part of a list is asked for.
#[derive(Debug, Default)]
struct Wanted {
    /// The most entries.
    count: Option<usize>,
    /// The entry after which it begins; it need not exist.
    last: Option<String>,
}

/// That part.
#[derive(Debug, PartialEq, Eq)]
struct Page {
    entries: Vec<String>,
    /// The query of the next page, where there is one.
    next: Option<String>,
}

impl Wanted {
    fn read(query: &Query) -> Result<Wanted, Failure> {
        let count = match query.get("n") {
            None => None,
            Some(text) => Some(text.parse().map_err(|_| {
                let words = format!("n={text:?} is no number of entries");
                Failure::bad_request("PAGINATION_NUMBER_INVALID", words)
            })?),
        };
        Ok(Wanted { count, last: query.get("last").map(str::to_owned) })
    }

    fn page<'a>(&self, sorted: impl Iterator<Item = &'a str>) -> Page {
        let mut rest =
            sorted.filter(|entry| self.last.as_deref().is_none_or(|last| *entry > last)).peekable();
        let Some(count) = self.count else {
            return Page { entries: rest.map(str::to_owned).collect(), next: None };
        };
        let entries: Vec<String> = rest.by_ref().take(count).map(str::to_owned).collect();
        let next = match (entries.last(), rest.peek()) {
            // Names and tags hold nothing that a query would have to escape.
            (Some(last), Some(_)) => Some(format!("n={count}&last={last}")),
            _ => None,
        };
        Page { entries, next }
    }
}

impl Page {
    fn respond(&self, path: &str, body: &serde_json::Value) -> Result<Response<Body>, Failure> {
        let mut response = exchange::json("application/json", body);
        if let Some(next) = &self.next {
            let link = exchange::value(&format!("<{path}?{next}>; rel=\"next\""))?;
            response.headers_mut().insert(LINK, link);
        }
        Ok(response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(query: &str, entries: &[&str], next: Option<&str>) {
        let page = Wanted::read(&Query::parse(query)).unwrap().page(["a", "b", "c"].into_iter());
        let entries = entries.iter().map(|&entry| entry.to_owned()).collect();
        assert_eq!(page, Page { entries, next: next.map(str::to_owned) }, "{query}");
    }

    #[test]
    fn a_list_is_cut_into_pages() {
        check("", &["a", "b", "c"], None);
        check("n=2", &["a", "b"], Some("n=2&last=b"));
        check("n=2&last=b", &["c"], None);
        check("n=3", &["a", "b", "c"], None);
        check("n=9", &["a", "b", "c"], None);
        check("n=0", &[], None);
        check("last=a", &["b", "c"], None);
        check("last=aa", &["b", "c"], None);
        check("last=z", &[], None);
    }

    #[test]
    fn a_number_of_entries_is_a_number() {
        for query in ["n=x", "n=-1", "n="] {
            assert!(Wanted::read(&Query::parse(query)).is_err(), "{query}");
        }
    }
}
