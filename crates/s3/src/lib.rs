//! The S3 wire protocol: routes, payload encodings, XML documents, error codes.
