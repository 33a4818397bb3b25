//! The Security Token Service: temporary credentials, and who one is.
//!
//! Source of the actions and of their answers:
//! <https://docs.aws.amazon.com/STS/latest/APIReference/API_Operations.html>.

use bytes::Bytes;
use http::Method;

use crate::connection::Outgoing;
use crate::settings::Credentials;
use crate::xml::Element;
use crate::{Client, ClientError, uri};

const VERSION: &str = "2011-06-15";
const FORM: &str = "application/x-www-form-urlencoded";

/// Credentials that end by themselves.
#[derive(Clone, Debug)]
pub struct TemporaryCredentials {
    /// What requests are signed with.
    pub credentials: Credentials,
    /// When they end, ISO 8601.
    pub expiration: String,
}

impl Client {
    /// A session of the user whose key this client has, for as long as `duration_s` seconds say.
    ///
    /// # Errors
    /// See [`ClientError`]; [`crate::ErrorKind::Denied`] for a key that is not valid.
    pub async fn get_session_token(
        &self,
        duration_s: u32,
    ) -> Result<TemporaryCredentials, ClientError> {
        let duration = duration_s.to_string();
        let action = [("Action", "GetSessionToken"), ("DurationSeconds", &duration)];
        temporary(&self.ask_sts(&action, Signed::ByCaller).await?)
    }

    /// A session of the role `role_arn` for whom `token`, an ID token of a provider, vouches.
    /// The request is not signed.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn assume_role_with_web_identity(
        &self,
        role_arn: &str,
        session_name: &str,
        token: &str,
    ) -> Result<TemporaryCredentials, ClientError> {
        let action = [
            ("Action", "AssumeRoleWithWebIdentity"),
            ("RoleArn", role_arn),
            ("RoleSessionName", session_name),
            ("WebIdentityToken", token),
        ];
        temporary(&self.ask_sts(&action, Signed::ByNobody).await?)
    }

    /// The ARN of whoever this client's key belongs to.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn caller_arn(&self) -> Result<String, ClientError> {
        let answer = self.ask_sts(&[("Action", "GetCallerIdentity")], Signed::ByCaller).await?;
        Ok(result(&answer)?.required("Arn")?.to_owned())
    }

    async fn ask_sts(
        &self,
        action: &[(&str, &str)],
        signed: Signed,
    ) -> Result<Element, ClientError> {
        let form = uri::query(&[action, &[("Version", VERSION)]].concat());
        let request = Outgoing::new(Method::POST, "/".to_owned())
            .header("content-type", FORM)
            .body(Bytes::from(form))
            .of_service("sts");
        let request = match signed {
            Signed::ByCaller => request,
            Signed::ByNobody => request.unsigned(),
        };
        Element::parse(&self.document(request).await?.body)
    }
}

/// Whether a request proves who sends it.
enum Signed {
    ByCaller,
    ByNobody,
}

/// What is in an answer's `…Result` element.
fn result(answer: &Element) -> Result<&Element, ClientError> {
    let found = answer.children().find(|(name, _)| name.ends_with("Result"));
    found
        .map(|(_, result)| result)
        .ok_or_else(|| ClientError::Malformed("an answer of STS has no result".to_owned()))
}

fn temporary(answer: &Element) -> Result<TemporaryCredentials, ClientError> {
    let result = result(answer)?;
    let given = result.child("Credentials");
    let given =
        given.ok_or_else(|| ClientError::Malformed("STS gave no credentials".to_owned()))?;
    Ok(TemporaryCredentials {
        credentials: Credentials {
            access_key_id: given.required("AccessKeyId")?.to_owned(),
            secret_access_key: given.required("SecretAccessKey")?.to_owned(),
            session_token: Some(given.required("SessionToken")?.to_owned()),
        },
        expiration: given.required("Expiration")?.to_owned(),
    })
}
