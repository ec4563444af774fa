//! Real sockets, at whose other end the tests say and do what servers do at their worst.

mod plain;
mod support;
