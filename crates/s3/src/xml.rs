//! S3 documents: a writer for answers, a bounded reader for requests, and the requests' shapes.

pub(crate) mod documents;
mod reader;
mod writer;

pub(crate) use reader::{Element, parse};
pub(crate) use writer::XmlWriter;

/// The namespace of documents of S3 Control.
pub(crate) const CONTROL_NAMESPACE: &str = "http://awss3control.amazonaws.com/doc/2018-08-20/";
/// The namespace of every document S3 defines.
pub(crate) const S3_NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";
