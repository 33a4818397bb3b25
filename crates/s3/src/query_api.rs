//! The actions of STS, and the one of IAM that clients of S3 call before anything else, at `POST /`.
//!
//! The form is AWS's query protocol: an urlencoded form in, XML out
//! (<https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html>,
//! <https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetUser.html>). With them a Terraform
//! backend needs no `skip_` flag.

mod parameters;
mod run_tags;
mod sts;

use http::{StatusCode, header, request};
use tidelock_auth::policy::ConditionKeys;
use tidelock_auth::sigv4::PayloadMode;
use tidelock_store::{ACCOUNT_ID, AuditEvent, Principal, Protocol};

use crate::access::Circumstances;
use crate::authn::{Authenticated, Signing};
use crate::error::{ErrorCode, S3Error, S3Result};
use crate::owner::user_id;
use crate::payload::{Framing, Payload, WireBody};
use crate::query::Query;
use crate::request_id::RequestId;
use crate::response::{self, Response};
use crate::route::Operation;
use crate::service::{Peer, S3Service};
use crate::xml::XmlWriter;

/// The forms of these actions are some hundred bytes, and a token at most.
const FORM_BYTES_MAX: usize = 64 << 10;

/// A service of AWS that has actions here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Service {
    Sts,
    Iam,
}

/// An action that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    AssumeRole,
    AssumeRoleWithWebIdentity,
    GetCallerIdentity,
    GetSessionToken,
    GetUser,
}

/// What somebody asks.
struct Asked<'a> {
    service: &'a S3Service,
    caller: &'a Principal,
    query: &'a Query,
    circumstances: Circumstances<'a>,
    id: &'a RequestId,
}

/// Answers a form at `POST /`.
pub(crate) async fn handle(
    service: &S3Service,
    parts: request::Parts,
    body: WireBody,
    (peer, id): (&Peer, &RequestId),
    requester: &mut Option<Principal>,
) -> S3Result<Response> {
    let framing = Framing::Plain { sha256: None };
    let mut payload = Payload::new(body, framing, None, service.config.body_idle_timeout);
    let form = payload.collect(FORM_BYTES_MAX).await?;
    let text = std::str::from_utf8(&form).map_err(|_| S3Error::new(ErrorCode::InvalidURI))?;
    let query = Query::parse(text)?;
    let name = query.value("Action").unwrap_or_default();
    let Some(action) = Action::of(name) else {
        return Ok(refuse(Service::Sts, &unknown_action(name), id));
    };
    let caller = match action {
        // Its token says who asks.
        Action::AssumeRoleWithWebIdentity => {
            Ok(peer.unproven(Protocol::S3, &parts, id.request_id()))
        }
        _ => authenticate(service, &parts, action, &form).await.map(|caller| {
            let origin = peer.origin(Protocol::S3, &caller, &parts.headers, id.request_id());
            caller.principal.with_origin(origin)
        }),
    };
    *requester = caller.as_ref().ok().cloned().or_else(|| requester.take());
    let operation = Some(Operation::QueryRequest);
    let headers = &parts.headers;
    let (no_query, signing) = (Query::default(), Signing::default());
    let circumstances = Circumstances { operation, headers, query: &no_query, peer, signing };
    let result = match caller {
        Ok(caller) => {
            let caller = &caller;
            action.answer(&Asked { service, caller, query: &query, circumstances, id }).await
        }
        Err(error) => Err(error),
    };
    let mut response = match result {
        Ok(document) => response::ok_xml(document),
        Err(error) => refuse(action.service(), &error, id),
    };
    response::set_static(&mut response, header::CONTENT_TYPE, "text/xml");
    Ok(response)
}

async fn authenticate(
    service: &S3Service,
    parts: &request::Parts,
    action: Action,
    form: &[u8],
) -> S3Result<Authenticated> {
    let services = [action.service().signing_name()];
    let caller = service.authenticator().authenticate(parts, &services, Some(form)).await?;
    let caller = caller.ok_or_else(|| {
        S3Error::with_message(ErrorCode::AccessDenied, "Request is missing Authentication Token")
    })?;
    if let PayloadMode::SignedHash(sha256) = caller.payload_mode {
        let computed = ring::digest::digest(&ring::digest::SHA256, form);
        if computed.as_ref() != sha256 {
            return Err(S3Error::new(ErrorCode::SignatureDoesNotMatch));
        }
    }
    Ok(caller)
}

impl Service {
    fn signing_name(self) -> &'static str {
        match self {
            Self::Sts => "sts",
            Self::Iam => "iam",
        }
    }

    fn namespace(self) -> &'static str {
        match self {
            Self::Sts => "https://sts.amazonaws.com/doc/2011-06-15/",
            Self::Iam => "https://iam.amazonaws.com/doc/2010-05-08/",
        }
    }
}

impl Action {
    fn of(name: &str) -> Option<Self> {
        match name {
            "AssumeRole" => Some(Self::AssumeRole),
            "AssumeRoleWithWebIdentity" => Some(Self::AssumeRoleWithWebIdentity),
            "GetCallerIdentity" => Some(Self::GetCallerIdentity),
            "GetSessionToken" => Some(Self::GetSessionToken),
            "GetUser" => Some(Self::GetUser),
            _ => None,
        }
    }

    fn service(self) -> Service {
        match self {
            Self::AssumeRole
            | Self::AssumeRoleWithWebIdentity
            | Self::GetCallerIdentity
            | Self::GetSessionToken => Service::Sts,
            Self::GetUser => Service::Iam,
        }
    }

    async fn answer(self, asked: &Asked<'_>) -> S3Result<String> {
        match self {
            Self::AssumeRole => sts::assume_role(asked).await,
            Self::AssumeRoleWithWebIdentity => sts::assume_role_with_web_identity(asked).await,
            Self::GetCallerIdentity => Ok(caller_identity(asked.caller, asked.id)),
            Self::GetSessionToken => sts::get_session_token(asked),
            Self::GetUser => user(asked.caller, asked.query.filled("UserName"), asked.id),
        }
    }
}

impl Asked<'_> {
    /// What the request says of itself, for policies.
    fn keys(&self) -> ConditionKeys {
        self.circumstances.keys(self.caller, self.service.clock.now())
    }

    /// Tells the audit log.
    fn note(&self, event: AuditEvent, subject: &str) {
        self.service.store.note(self.caller, &event.subject(subject));
    }

    /// An answer of STS.
    fn document(&self, action: &str, inside: impl FnOnce(&mut XmlWriter)) -> String {
        let root = format!("{action}Response");
        XmlWriter::document_in(&root, Service::Sts.namespace(), |xml| {
            xml.element(&format!("{action}Result"), inside);
            xml.element("ResponseMetadata", |xml| xml.text("RequestId", self.id.request_id()));
        })
    }
}

fn caller_identity(caller: &Principal, id: &RequestId) -> String {
    let namespace = Service::Sts.namespace();
    XmlWriter::document_in("GetCallerIdentityResponse", namespace, |xml| {
        xml.element("GetCallerIdentityResult", |xml| {
            xml.text("Arn", &caller.arn);
            xml.text("UserId", &user_id(caller));
            xml.text("Account", ACCOUNT_ID);
        });
        xml.element("ResponseMetadata", |xml| xml.text("RequestId", id.request_id()));
    })
}

/// Everybody may look at themselves.
fn user(caller: &Principal, asked: Option<&str>, id: &RequestId) -> S3Result<String> {
    if caller.entitlement.role.is_some() {
        let reason = "Must specify userName when calling with non-User credentials";
        return Err(S3Error::with_message(ErrorCode::ValidationError, reason));
    }
    if asked.is_some_and(|asked| asked != &*caller.name) {
        return Err(S3Error::with_message(
            ErrorCode::AccessDenied,
            format!("User: {} is not authorized to perform: iam:GetUser", caller.arn),
        ));
    }
    let namespace = Service::Iam.namespace();
    Ok(XmlWriter::document_in("GetUserResponse", namespace, |xml| {
        xml.element("GetUserResult", |xml| {
            xml.element("User", |xml| {
                xml.text("Path", "/");
                xml.text("UserName", &caller.name);
                xml.text("UserId", &user_id(caller));
                xml.text("Arn", &caller.arn);
            });
        });
        xml.element("ResponseMetadata", |xml| xml.text("RequestId", id.request_id()));
    }))
}

fn unknown_action(name: &str) -> S3Error {
    S3Error::with_message(
        ErrorCode::NotImplemented,
        format!("The action {name} is not implemented"),
    )
}

/// An error in the form and with the names of the query protocol.
fn refuse(service: Service, error: &S3Error, id: &RequestId) -> Response {
    let status = error.code().status();
    let side = if status.is_server_error() { "Receiver" } else { "Sender" };
    let document = XmlWriter::document_in("ErrorResponse", service.namespace(), |xml| {
        xml.element("Error", |xml| {
            xml.text("Type", side);
            xml.text("Code", query_code(error.code()));
            xml.text("Message", error.message());
        });
        xml.text("RequestId", id.request_id());
    });
    let mut response = response::xml(status_of(error.code(), status), document);
    response.extensions_mut().insert(error.code());
    response
}

/// STS and IAM have other names for the same refusals
/// (<https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html>).
fn query_code(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::InvalidAccessKeyId | ErrorCode::InvalidToken => "InvalidClientTokenId",
        ErrorCode::AuthorizationHeaderMalformed | ErrorCode::InvalidArgument => {
            "IncompleteSignature"
        }
        code => code.as_str(),
    }
}

fn status_of(code: ErrorCode, status: StatusCode) -> StatusCode {
    match code {
        ErrorCode::InvalidToken | ErrorCode::ExpiredToken => StatusCode::FORBIDDEN,
        _ => status,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn principal(is_root: bool) -> Principal {
        Principal { is_root, name: "ci".into(), ..Principal::root() }
    }

    #[test]
    fn answers_have_the_query_protocols_form() {
        let id = RequestId::from_random([1; 24]);
        let document = caller_identity(&principal(true), &id);
        assert!(document.contains("<Account>000000000000</Account>"), "{document}");
        assert!(document.contains("<Arn>arn:aws:iam::000000000000:root</Arn>"), "{document}");
        let user = user(&principal(false), Some("ci"), &id).unwrap();
        assert!(user.contains("<UserName>ci</UserName><UserId>AIDA"), "{user}");
    }

    #[test]
    fn nobody_sees_other_users() {
        let id = RequestId::from_random([1; 24]);
        let error = user(&principal(false), Some("other"), &id).unwrap_err();
        assert_eq!(error.code(), ErrorCode::AccessDenied);
    }
}
