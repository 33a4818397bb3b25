//! What is signed for somebody else to send: URLs and forms. They carry the identity of whoever signs, for
//! a while, and nothing that could sign another.

use http::{Method, Uri};
use serde_json::json;

use crate::connection::{Outgoing, with_signer};
use crate::{Client, ClientError, uri};

/// The longest life of a presigned URL, in seconds: a week.
pub const PRESIGN_EXPIRES_S_MAX: u32 = tidelock_auth::sigv4::PRESIGN_EXPIRES_S_MAX;

/// What a URL may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PresignedMethod {
    /// Read the object.
    Get,
    /// Write it.
    Put,
}

/// A request for an object that a URL shall stand for.
#[derive(Clone, Copy, Debug)]
pub struct Presign<'a> {
    /// What it does.
    pub method: PresignedMethod,
    /// The bucket.
    pub bucket: &'a str,
    /// Key of the object.
    pub key: &'a str,
    /// One version of it.
    pub version: Option<&'a str>,
    /// The name under which a browser keeps what it gets, instead of showing it.
    pub file_name: Option<&'a str>,
    /// Seconds; at most [`PRESIGN_EXPIRES_S_MAX`], and no URL outlives the session that signs it.
    pub expires_s: u32,
}

/// A form with which a browser may send one file.
#[derive(Clone, Copy, Debug)]
pub struct UploadForm<'a> {
    /// The bucket.
    pub bucket: &'a str,
    /// What its key begins with; the rest is the file's name.
    pub prefix: &'a str,
    /// Absolute URL of the page that comes after it.
    pub redirect: &'a str,
    /// Seconds for which it may be sent.
    pub expires_s: u32,
}

/// What such a form holds before its field `file`.
#[derive(Clone, Debug)]
pub struct SignedForm {
    /// Path at the endpoint that it is posted to, as `multipart/form-data`.
    pub action: String,
    /// Its fields. `Content-Type` may be added to them.
    pub fields: Vec<(&'static str, String)>,
}

impl Client {
    /// A URL that stands for a request for an object, signed by this client. Nothing is sent: whether
    /// the request is allowed, and whether there is such an object, shows when it is used.
    ///
    /// # Errors
    /// [`ClientError::Malformed`] for a life of no or too many seconds, or an endpoint that is no URI.
    pub fn presign(&self, asked: &Presign<'_>) -> Result<Uri, ClientError> {
        let disposition = asked.file_name.map(attachment);
        let version = asked.version.map(|id| ("versionId", id));
        let kept = disposition.as_deref().map(|it| ("response-content-disposition", it));
        let query: Vec<_> = version.into_iter().chain(kept).collect();
        let path = uri::object_path(asked.bucket, asked.key);
        let method = match asked.method {
            PresignedMethod::Get => Method::GET,
            PresignedMethod::Put => Method::PUT,
        };
        let request = Outgoing::new(method, path).query(&query);
        request.presign(self.settings(), asked.expires_s, self.now())
    }

    /// A form that a browser may post with one file, signed by this client.
    ///
    /// # Errors
    /// [`ClientError::Malformed`] where the access key is none.
    pub fn upload_form(&self, form: &UploadForm<'_>) -> Result<SignedForm, ClientError> {
        let conditions = vec![
            json!({ "bucket": form.bucket }),
            json!(["starts-with", "$key", form.prefix]),
            // A script that shows how far the upload is goes to the page by itself.
            json!(["starts-with", "$success_action_redirect", ""]),
            json!(["starts-with", "$Content-Type", ""]),
        ];
        let (expires_s, now) = (form.expires_s, self.now());
        let signed = with_signer(self.settings(), "s3", |signer| {
            signer.sign_form(conditions, expires_s, now)
        })?;
        let mut fields = vec![
            ("key", format!("{}${{filename}}", form.prefix)),
            ("success_action_redirect", form.redirect.to_owned()),
        ];
        fields.extend(signed);
        Ok(SignedForm { action: uri::bucket_path(form.bucket), fields })
    }
}

/// RFC 6266: a name of any characters.
fn attachment(file_name: &str) -> String {
    format!("attachment; filename*=UTF-8''{}", uri::segment(file_name))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::settings::Credentials;
    use crate::{Now, Settings};

    fn client() -> Client {
        let credentials = Credentials {
            access_key_id: "ASIAEXAMPLE".to_owned(),
            secret_access_key: "secret".to_owned(),
            session_token: Some("a+b".to_owned()),
        };
        let (endpoint, region) = ("http://a.test:80".parse().unwrap(), "us-east-1".to_owned());
        let settings = Settings { endpoint, region, credentials, ca_bundle: None };
        Client::new(settings, Now::new(|| Timestamp::UNIX_EPOCH)).unwrap()
    }

    #[test]
    fn a_url_names_all_that_it_stands_for() {
        let asked = Presign {
            method: PresignedMethod::Get,
            bucket: "b",
            key: "a b/ü",
            version: Some("v1"),
            file_name: Some("ü\".txt"),
            expires_s: 60,
        };
        let url = client().presign(&asked).unwrap().to_string();
        let rows = [
            "http://a.test:80/b/a%20b/%C3%BC?versionId=v1&",
            "response-content-disposition=attachment%3B%20filename%2A%3DUTF-8%27%27%25C3%25BC%2522.txt&",
            "X-Amz-Expires=60&",
            "X-Amz-SignedHeaders=host&",
            "X-Amz-Security-Token=a%2Bb&",
        ];
        for part in rows {
            assert!(url.contains(part), "{part} in {url}");
        }
        for expires_s in [0, PRESIGN_EXPIRES_S_MAX + 1] {
            assert!(client().presign(&Presign { expires_s, ..asked }).is_err(), "{expires_s}");
        }
    }

    #[test]
    fn a_form_goes_to_its_bucket_under_its_prefix() {
        let form =
            UploadForm { bucket: "b", prefix: "a/", redirect: "http://a.test/x", expires_s: 60 };
        let signed = client().upload_form(&form).unwrap();
        let value = |name| signed.fields.iter().find(|it| it.0 == name).map(|it| it.1.as_str());
        assert_eq!(signed.action, "/b");
        assert_eq!(value("key"), Some("a/${filename}"));
        assert_eq!(value("x-amz-security-token"), Some("a+b"));
        assert!(value("policy").is_some() && value("x-amz-signature").is_some());
    }
}
