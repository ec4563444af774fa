//! Lists that a registry gives page by page. Distribution-spec, §"Listing Tags", §"Listing
//! Referrers".

use bytes::Bytes;
use http::HeaderValue;
use http::header::LINK;

use crate::auth::Scopes;
use crate::client::RepositoryClient;
use crate::error::{Error, ErrorKind};
use crate::exchange::{Call, Target};
use crate::http::location;
use crate::reply::Reply;

/// A list, read from its first page to its last.
pub(crate) struct Pages<'a> {
    client: &'a RepositoryClient,
    operation: String,
    next: Option<Target>,
    pages_left: usize,
    bytes_left: usize,
}

const MOST_PAGES: usize = 1000;
/// Of all pages together.
const MOST_BYTES: usize = 64 << 20;

impl RepositoryClient {
    /// The list at `path` behind the repository's name; `operation` completes "cannot …".
    pub(crate) fn pages(&self, operation: String, path: &str) -> Pages<'_> {
        let path = format!("/v2/{}/{path}", self.repository.name());
        Pages {
            client: self,
            operation,
            next: Some(Target::Path(path)),
            pages_left: MOST_PAGES,
            bytes_left: MOST_BYTES,
        }
    }
}

impl Pages<'_> {
    /// The next page, or `None` after the last.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        let Some(target) = self.next.take().filter(|_| self.pages_left > 0) else {
            return Ok(None);
        };
        let call = Call::new(self.client, self.operation.clone(), target);
        let call = call.scopes(Scopes::pull(self.client.repository.name()));
        let reply = call.send().await?;
        if !reply.status.is_success() {
            return Err(call.error(reply.into_error_kind()));
        }
        self.next = next_page(&reply).map_err(|kind| call.error(kind))?;
        let page = reply.bytes(self.bytes_left).await;
        let page = page.map_err(|error| call.error(ErrorKind::Http(error)))?;
        self.pages_left -= 1;
        self.bytes_left -= page.len();
        Ok(Some(page))
    }

    /// An error about what a page holds.
    pub(crate) fn error(&self, problem: String) -> Error {
        self.client.error(&self.operation, ErrorKind::Protocol(problem))
    }
}

/// The next page, from `Link: <…>; rel="next"`.
fn next_page(reply: &Reply) -> Result<Option<Target>, ErrorKind> {
    let link = reply.header(LINK).and_then(next_link);
    let Some(link) = link.and_then(|link| HeaderValue::from_str(link).ok()) else {
        return Ok(None);
    };
    match location::resolve(&reply.uri, &link) {
        Ok(uri) => Ok(Some(Target::Given(uri))),
        Err(error) => Err(ErrorKind::Protocol(error.to_string())),
    }
}

fn next_link(value: &str) -> Option<&str> {
    let (target, parameters) = value.trim().strip_prefix('<')?.split_once('>')?;
    let own = parameters.split(',').next()?;
    let is_next = own.split(';').any(|parameter| {
        let parameter = parameter.trim().replace('"', "");
        parameter.eq_ignore_ascii_case("rel=next")
    });
    is_next.then_some(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_to_the_next_page() {
        let check = |value: &str, expected: Option<&str>| assert_eq!(next_link(value), expected);
        check(r#"</v2/a/tags/list?n=2&last=b>; rel="next""#, Some("/v2/a/tags/list?n=2&last=b"));
        check("<https://h/x>; rel=next", Some("https://h/x"));
        check(r#"</x>; rel="prev""#, None);
        check(r#"</x>; rel="prev", </y>; rel="next""#, None);
        check("/x", None);
        check("", None);
    }
}
