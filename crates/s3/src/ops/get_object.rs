//! GetObject and HeadObject: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html>.

use std::ops::Range;

use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use tidelock_store::{Checksum, GetObjectError, ObjectInfo, Versioning};

use super::bucket_lifecycle::write_expiration;
use super::put_object::{VERSION_ID, write_checksum};
use crate::call::Call;
use crate::conditions::ReadCondition;
use crate::error::{ErrorCode, S3Error, S3Result};
use crate::range;
use crate::response::{self, Response, ResponseBody};
use crate::{date, encryption, etag, object_lock, settings};

const DELETE_MARKER: HeaderName = HeaderName::from_static("x-amz-delete-marker");
const PARTS_COUNT: HeaderName = HeaderName::from_static("x-amz-mp-parts-count");
const CHECKSUM_MODE: HeaderName = HeaderName::from_static("x-amz-checksum-mode");
const PART_NUMBERS: std::ops::RangeInclusive<usize> = 1..=10_000;

/// Query parameters that put a header of the answer in another way.
const OVERRIDES: [(&str, HeaderName); 6] = [
    ("response-content-type", header::CONTENT_TYPE),
    ("response-content-language", header::CONTENT_LANGUAGE),
    ("response-expires", header::EXPIRES),
    ("response-cache-control", header::CACHE_CONTROL),
    ("response-content-disposition", header::CONTENT_DISPOSITION),
    ("response-content-encoding", header::CONTENT_ENCODING),
];

/// Which bytes a request is about.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Selected {
    Whole,
    Some(Range<u64>),
}

/// What a request asks of an object, before the object is known.
struct Wish {
    condition: ReadCondition,
    range: Option<(range::Wanted, String)>,
    /// `If-Range`: the range is of this object only, by its entity tag or its date.
    if_range: Option<String>,
    part: Option<usize>,
    now_ms: i64,
}

pub(super) async fn handle(call: &mut Call<'_>) -> S3Result<Response> {
    let (bucket, key, version) = (call.bucket()?, call.key()?, call.version()?);
    let customer = encryption::of_read(&call.headers)?;
    let customer = customer.as_ref();
    let wish = Wish::of(call)?;
    refuse_overrides_by_nobody(call)?;
    let (store, principal) = (call.store(), &call.principal);
    if call.method == Method::HEAD {
        let info = store.head_object_with_key(principal, &bucket, &key, version, customer).await;
        let info = info.map_err(refusal)?;
        let selected = wish.select(&info)?;
        let mut response = answer(call, &wish, &info, &selected, ResponseBody::omitted());
        let length = HeaderValue::from(selected.length_bytes(&info));
        response.headers_mut().insert(header::CONTENT_LENGTH, length);
        write_expiration(&mut response, store, &key, info.lifecycle.as_ref()).await;
        return Ok(response);
    }
    let select = |info: &ObjectInfo| wish.select(info).map(Selected::into_range);
    let wanted = (version, customer);
    let object = store.get_object_with_key(principal, &bucket, &key, wanted, select).await;
    let mut object = object.map_err(refusal)??;
    let selected = wish.select(&object.info)?;
    let length_bytes = selected.length_bytes(&object.info);
    // What is read at once is not streamed, and refused whole if it is damaged.
    let body = match object.reader.only_chunk().await? {
        Some(bytes) => ResponseBody::full(bytes),
        None => ResponseBody::of_reader(object.reader, length_bytes),
    };
    let mut response = answer(call, &wish, &object.info, &selected, body);
    write_expiration(&mut response, store, &key, object.info.lifecycle.as_ref()).await;
    Ok(response)
}

/// What an answer says of itself is for whoever signs to choose.
fn refuse_overrides_by_nobody(call: &Call<'_>) -> S3Result<()> {
    let overrides = OVERRIDES.iter().any(|(name, _)| call.query.has(name));
    if overrides && call.principal.is_unproven() {
        return Err(S3Error::invalid_request(
            "Request specific response headers cannot be used for anonymous GET requests.",
        ));
    }
    Ok(())
}

/// Where nothing is, no delete marker is either; AWS leaves that out.
fn refusal(error: GetObjectError) -> S3Error {
    match error {
        GetObjectError::NoSuchKey { delete_marker: None } => {
            S3Error::from(error).header(DELETE_MARKER, HeaderValue::from_static("false"))
        }
        error => error.into(),
    }
}

/// The version of an object that was read; in a bucket that never had versions there is none.
pub(super) fn write_version(response: &mut Response, info: &ObjectInfo) {
    match info.versioning {
        Versioning::Unversioned => {}
        Versioning::Enabled | Versioning::Suspended => {
            response::set(response, VERSION_ID, &info.version.to_string());
        }
    }
}

impl Wish {
    fn of(call: &Call<'_>) -> S3Result<Self> {
        let range = call
            .header(header::RANGE)
            .and_then(|text| range::parse(text).map(|wanted| (wanted, text.to_owned())));
        let part = call.query.filled("partNumber").map(part_number).transpose()?;
        if range.is_some() && part.is_some() {
            return Err(S3Error::invalid_request(
                "Cannot specify both Range header and partNumber query parameter",
            ));
        }
        let condition = ReadCondition::of_object(&call.headers);
        let if_range = call.header(header::IF_RANGE).map(str::to_owned);
        Ok(Self { condition, range, if_range, part, now_ms: call.service.clock.now() })
    }

    /// Conditions first, then the range.
    fn select(&self, info: &ObjectInfo) -> S3Result<Selected> {
        let tag = etag::text(&info.etag);
        self.condition
            .check(&tag, info.modified_ms, self.now_ms)
            .map_err(|failure| with_validators(failure.of_object(), info))?;
        // Of another object the rest would not fit what the client has (RFC 9110, section 13.1.5).
        let is_meant = self.if_range.as_deref().is_none_or(|meant| {
            meant == etag::quoted(&info.etag) || meant == date::http_date(info.modified_ms)
        });
        match (&self.range, self.part) {
            (Some(_), _) if !is_meant => Ok(Selected::Whole),
            (Some((wanted, text)), _) => {
                range::resolve(*wanted, info.size, text).map(Selected::Some)
            }
            (None, Some(number)) => part(info, number),
            (None, None) => Ok(Selected::Whole),
        }
    }
}

impl Selected {
    fn into_range(self) -> Option<Range<u64>> {
        match self {
            Self::Whole => None,
            Self::Some(range) => Some(range),
        }
    }

    fn length_bytes(&self, info: &ObjectInfo) -> u64 {
        match self {
            Self::Whole => info.size,
            Self::Some(range) => range.end - range.start,
        }
    }
}

/// The bytes of a part; an object of one piece has one part.
fn part(info: &ObjectInfo, number: usize) -> S3Result<Selected> {
    let whole = [info.size];
    let sizes = info.part_sizes.as_deref().unwrap_or(&whole);
    let Some(size) = sizes.get(number - 1) else {
        return Err(S3Error::new(ErrorCode::InvalidPart)
            .field("PartNumber", number.to_string())
            .field("ActualPartCount", sizes.len().to_string()));
    };
    if info.size == 0 {
        return Ok(Selected::Whole);
    }
    let start: u64 = sizes[..number - 1].iter().sum();
    Ok(Selected::Some(start..start + size))
}

fn part_number(text: &str) -> S3Result<usize> {
    let number = text.parse().ok().filter(|number| PART_NUMBERS.contains(number));
    number.ok_or_else(|| {
        S3Error::invalid_argument(
            "Part number must be an integer between 1 and 10000, inclusive",
            "partNumber",
            text,
        )
    })
}

fn answer(
    call: &Call<'_>,
    wish: &Wish,
    info: &ObjectInfo,
    selected: &Selected,
    body: ResponseBody,
) -> Response {
    let status = match selected {
        Selected::Whole => StatusCode::OK,
        Selected::Some(_) => StatusCode::PARTIAL_CONTENT,
    };
    let mut response = response::with_body(status, body);
    settings::write(response.headers_mut(), &info.settings);
    object_lock::write(response.headers_mut(), &info.settings.controls);
    for (name, header) in OVERRIDES {
        if let Some(value) = call.query.filled(name) {
            response::set(&mut response, header, value);
        }
    }
    response::set_static(&mut response, header::ACCEPT_RANGES, "bytes");
    response::set(&mut response, header::ETAG, &etag::quoted(&info.etag));
    response::set(&mut response, header::LAST_MODIFIED, &date::http_date(info.modified_ms));
    write_version(&mut response, info);
    encryption::write(response.headers_mut(), &info.settings.controls.encryption);
    if let Selected::Some(range) = selected {
        let text = range::content_range(range, info.size);
        response::set(&mut response, header::CONTENT_RANGE, &text);
    }
    if let (Some(_), Some(sizes)) = (wish.part, &info.part_sizes) {
        response.headers_mut().insert(PARTS_COUNT, HeaderValue::from(sizes.len()));
    }
    write_checksum_if_asked(call, &mut response, wish, info, selected);
    response
}

/// A checksum is of the whole object, so it is shown with the whole object only; a part that is asked
/// for by its number has its own, under the type of the object's.
fn write_checksum_if_asked(
    call: &Call<'_>,
    response: &mut Response,
    wish: &Wish,
    info: &ObjectInfo,
    selected: &Selected,
) {
    let asked = call.header(CHECKSUM_MODE).is_some_and(|mode| mode.eq_ignore_ascii_case("ENABLED"));
    let Some(checksum) = info.checksum.as_ref().filter(|_| asked) else { return };
    if let (Some(number), Some(parts)) = (wish.part, &info.part_checksums) {
        if let Some(Some(of_part)) = parts.get(number - 1) {
            write_checksum(response, &Checksum { kind: checksum.kind, ..of_part.clone() });
        }
    } else if selected.length_bytes(info) == info.size {
        write_checksum(response, checksum);
    }
}

/// 304 and 412 say which object they are about.
fn with_validators(error: S3Error, info: &ObjectInfo) -> S3Error {
    if error.code() != ErrorCode::NotModified {
        return error;
    }
    let pairs = [
        (header::ETAG, etag::quoted(&info.etag)),
        (header::LAST_MODIFIED, date::http_date(info.modified_ms)),
    ];
    pairs.into_iter().fold(error, |error, (name, value)| match HeaderValue::from_str(&value) {
        Ok(value) => error.header(name, value),
        Err(_) => error,
    })
}
