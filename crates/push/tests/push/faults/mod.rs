//! The book of faults: what registries, proxies and networks are known to do to a push, each as one
//! test over real sockets, named by its number. Asserted are the outcome and, where it fails, its
//! class, from which the exit code follows; what was sent again; how much was asked; and by the limits
//! in [`How`](crate::harness::How) that it comes to an end.
//!
//! | | the registry | test |
//! |---|---|---|
//! | F1 | resets the connection in mid-body | [`bodies::f01_reset_mid_put`] |
//! | F2 | stores a blob, and its answer is lost | [`bodies::f02_commit_then_drop`] |
//! | F3 | stops reading in mid-body | [`bodies::f03_stall`] |
//! | F4 | takes long to commit | [`bodies::f04_slow_response`] |
//! | F5 | refuses before the body is sent, and hangs up | [`bodies::f05_early_error`] |
//! | F6 | is in trouble: 5xx, 499, 522 | [`bodies::f06_5xx_burst`] |
//! | F7 | 429 with seconds | [`waiting::f07_429_seconds`] |
//! | F8 | 429 with a date | [`waiting::f08_429_date`] |
//! | F9 | 429 in words or HTML only | [`waiting::f09_429_in_message`] |
//! | F10 | 403 for a rate limit, or to a HEAD | [`waiting::f10_403_rate_limit`] |
//! | F11 | 401 in mid-push, since the token ran out | [`login::f11_token_expires_mid_push`] |
//! | F12 | gives a token for less than was asked | [`login::f12_scope_shrink`] |
//! | F13 | gives no token by POST | [`login::f13_oauth_post_unsupported`] |
//! | F14 | 401, 403, 404 to a mount | [`login::f14_mount_401`] |
//! | F15 | opens an upload instead of a mount | [`uploads::f15_mount_202`] |
//! | F16 | says that it has mounted, and has not | [`uploads::f16_mount_201_but_missing`] |
//! | F17 | two challenges, or one that lacks parts | [`login::f17_two_challenges`] |
//! | F18 | tokens of every shape | [`login::f18_token_shapes`] |
//! | F19 | a `Location` without a host | [`locations::f19_relative_location`] |
//! | F20 | a `Location` at another host | [`locations::f20_cross_host`] |
//! | F21 | a `Location` with a query of its own | [`locations::f21_opaque_query`] |
//! | F22 | redirects | [`locations::f22_redirect`] |
//! | F23 | no `Location` | [`locations::f23_missing_location`] |
//! | F24 | a wrong digest header, or none | [`manifests::f24_wrong_or_missing_digest_header`] |
//! | F25 | 200, 201, 204 to a PATCH | [`uploads::f25_patch_201`] |
//! | F26 | a `Range` that stays where it was | [`uploads::f26_stale_range`] |
//! | F27 | takes less of a chunk than was sent | [`uploads::f27_short_accept`] |
//! | F28 | `Range` in other dialects | [`uploads::f28_range_dialects`] |
//! | F29 | 416 with and without headers | [`uploads::f29_416`] |
//! | F30 | loses the session | [`uploads::f30_session_lost`] |
//! | F31 | wants chunks of at least, or at most | [`uploads::f31_min_chunk`], [`uploads::f31_max_chunk`] |
//! | F32 | takes no chunks, or only one | [`uploads::f32_chunked_unsupported`] |
//! | F33 | ignores `Content-Range` | [`uploads::f33_content_range_ignored`] |
//! | F34 | breaks the POST that opens an upload | [`uploads::f34_single_post_202`] |
//! | F35 | gets other bytes than were sent | [`bodies::f35_digest_mismatch`] |
//! | F36 | wants a length | [`bodies::f36_length_required`] |
//! | F37 | misses a blob after all | [`manifests::f37_manifest_blob_unknown_eventual`] |
//! | F38 | has immutable tags | [`manifests::f38_immutable_tag`] |
//! | F39 | refuses the manifest for good | [`manifests::f39_manifest_refused`] |
//! | F40 | knows no referrers, or has a list that others write too | `f40_…` in [`referrers`](crate::referrers) |
//! | F41 | gets one blob from two at once | [`bodies::f41_concurrent_same_blob`] |
//! | F42 | is read-only, full, or has no such repository | [`manifests::f42_read_only`] |
//! | F43 | answers junk | [`manifests::f43_junk_errors`] |
//! | F44 | warns without end | [`manifests::f44_warning_spam`] |
//! | F45 | closes after each answer, or sends 1xx | [`bodies::f45_connection_close`] |
//! | F46 | refuses to end a session | [`uploads::f46_cancel_rejected`] |
//! | F47 | ignores `?tag=`, in part or whole, or refuses it | `f47_…` in [`at_once`](crate::at_once) |
//! | F48 | crashes and comes back | [`manifests::f48_crash_restart`] |
//!
//! Of F34 a single POST with the body is never sent, and of F45 HTTP/2 is not spoken, so that no
//! GOAWAY can come.

mod bodies;
mod locations;
mod login;
mod manifests;
mod uploads;
mod waiting;
