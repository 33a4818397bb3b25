//! Who is asking, and what they may do: Signature Version 4, verified and made, and 2, verified; the ID tokens of other
//! providers, the names of those who ask, and AWS's policy language.
//!
//! It does no I/O, reads no clock, and knows neither HTTP types nor status codes: the request comes
//! in as borrowed parts, the time as an argument, and an error says what is wrong, not how to
//! answer it.

pub mod identity;
pub mod oidc;
pub mod policy;
pub mod post;
pub mod sigv2;
pub mod sigv4;
