//! Real sockets, at whose other end the tests say and do what servers do at their worst.

mod authority;
mod broken;
mod early;
mod limits;
mod plain;
mod proxied;
mod redirects;
mod reuse;
mod secure;
mod support;
