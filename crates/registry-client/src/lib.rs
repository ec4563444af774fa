//! The distribution protocol, one client a host.

pub mod auth;
pub mod http;
