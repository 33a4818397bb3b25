//! One object: what is said of it, its versions, a link to share, and its way out and back.

use askama::Template;
use http::{Response, StatusCode};
use tidelock_client::{ObjectHead, ObjectVersion, PageOf, Presign, PresignedMethod, Restored};

use super::objects::{crumbs, place};
use super::{Page, Shell, Visit, unless_denied};
use crate::answer::{self, Body};
use crate::failure::Failure;
use crate::view::{self, Moment, Told};

/// Versions on the page.
const VERSIONS_MAX: usize = 100;
/// How long the browser has to begin a download, in seconds.
const DOWNLOAD_EXPIRES_S: u32 = 60;
/// How long a link may be used, in seconds, and what is said of it. No link outlives the session.
const TERMS: &[(u32, &str)] = &[(900, "15 minutes"), (3_600, "an hour"), (43_200, "12 hours")];

#[derive(Template)]
#[template(path = "object.html")]
struct ObjectPage {
    shell: Shell,
    bucket: String,
    key: String,
    /// Empty for the object itself.
    version: String,
    crumbs: Vec<(String, String)>,
    facts: Option<Facts>,
    /// Why there are no facts.
    word: String,
    is_deleted: bool,
    download: String,
    /// Where it is shown as a state.
    state: Option<String>,
    /// The link that was asked for.
    link: Option<Link>,
    terms: &'static [(u32, &'static str)],
    /// None where they are not for this user to see.
    versions: Option<Vec<VersionRow>>,
    has_more: bool,
    address: String,
}

struct Facts {
    head: ObjectHead,
    size: String,
    written: Told,
}

struct Link {
    url: String,
    minutes: u32,
    command: String,
}

struct VersionRow {
    id: String,
    link: String,
    download: String,
    is_latest: bool,
    is_marker: bool,
    is_shown: bool,
    size: String,
    written: Told,
}

pub(super) async fn show(visit: &Visit<'_>) -> Page {
    let (bucket, key) = (visit.required("bucket")?, visit.required("key")?);
    let version = visit.asked.query.get("version");
    let (now, mut word) = (visit.now(), String::new());
    let head = match visit.client.head_object(bucket, key, version).await {
        Ok(head) => head,
        Err(error) => {
            unless_denied::<()>(error)?;
            "You may not read this object.".clone_into(&mut word);
            None
        }
    };
    let (versions, has_more) = versions(visit, (bucket, key)).await?;
    let is_deleted = versions.iter().flatten().any(|it| it.is_latest && it.delete_marker);
    let is_there = head.is_some() || versions.as_ref().is_some_and(|it| !it.is_empty());
    if word.is_empty() && head.is_none() {
        let said = match version {
            Some(_) if is_there => "This is a delete marker: it has no content.",
            _ if is_there => "It is deleted. Its versions are still there.",
            _ => "There is no such object.",
        };
        said.clone_into(&mut word);
    }
    let address = view::address(bucket, key);
    let fields = [("bucket", bucket), ("key", key), ("version", version.unwrap_or_default())];
    let page = ObjectPage {
        shell: visit.shell("buckets", key, command(&address, version)),
        crumbs: crumbs(bucket, key, false),
        download: view::place("/download", &fields),
        state: key.ends_with(".tfstate").then(|| view::place("/state", &fields[..2])),
        link: if head.is_some() { link(visit, (bucket, key), version)? } else { None },
        terms: TERMS,
        facts: head.map(|head| Facts {
            size: view::size(head.size),
            written: now.told(&head.last_modified),
            head,
        }),
        is_deleted,
        versions: versions.map(|found| {
            let row = |it| VersionRow::new(bucket, it, version, now);
            found.into_iter().map(row).collect()
        }),
        has_more,
        word,
        address,
        bucket: bucket.to_owned(),
        key: key.to_owned(),
        version: version.unwrap_or_default().to_owned(),
    };
    let is_missing = !is_there && page.word.starts_with("There is no");
    let status = if is_missing { StatusCode::NOT_FOUND } else { StatusCode::OK };
    Ok(answer::html(status, &page))
}

fn command(address: &str, version: Option<&str>) -> String {
    let version = version.map(|id| format!(" --version-id {}", view::quoted(id)));
    format!("tidelock object get {address}{}", version.unwrap_or_default())
}

/// The versions of the key, and whether there are more than are shown.
async fn versions(
    visit: &Visit<'_>,
    (bucket, key): (&str, &str),
) -> Result<(Option<Vec<ObjectVersion>>, bool), Failure> {
    let asked = PageOf { bucket, prefix: key, delimiter: None, max: VERSIONS_MAX };
    match visit.client.versions_page(&asked, None).await {
        Ok(mut page) => {
            // Keys that only begin like it come after.
            let is_whole = page.versions.last().is_none_or(|last| last.key != key);
            page.versions.retain(|version| version.key == key);
            Ok((Some(page.versions), page.next.is_some() && !is_whole))
        }
        Err(error) => Ok((unless_denied(error)?, false)),
    }
}

/// The link that the page was asked for, if it was.
fn link(
    visit: &Visit<'_>,
    (bucket, key): (&str, &str),
    version: Option<&str>,
) -> Result<Option<Link>, Failure> {
    let asked = visit.asked.query("expires").parse().ok();
    let Some((term_s, _)) = TERMS.iter().find(|(term_s, _)| Some(*term_s) == asked) else {
        return Ok(None);
    };
    let left_s = visit.session.expires_s - visit.now().0.as_second();
    let expires_s = u32::try_from(left_s).unwrap_or(1).clamp(1, *term_s);
    let url = presigned(visit, (bucket, key), version, (None, expires_s))?;
    let version = version.map(|id| format!(" --version-id {}", view::quoted(id)));
    let address = view::address(bucket, key);
    let (minutes, version) = (expires_s.div_ceil(60), version.unwrap_or_default());
    let command = format!("tidelock object presign {address} --expires {minutes}m{version}");
    Ok(Some(Link { url: url.to_string(), minutes, command }))
}

fn presigned(
    visit: &Visit<'_>,
    (bucket, key): (&str, &str),
    version: Option<&str>,
    (file_name, expires_s): (Option<&str>, u32),
) -> Result<http::Uri, Failure> {
    let method = PresignedMethod::Get;
    let asked = Presign { method, bucket, key, version, file_name, expires_s };
    Ok(visit.outside()?.presign(&asked)?)
}

/// Sends the browser to the object itself, which is kept as a file.
pub(super) fn download(visit: &Visit<'_>) -> Result<Response<Body>, Failure> {
    let (bucket, key) = (visit.required("bucket")?, visit.required("key")?);
    let version = visit.asked.query.get("version");
    let name = key.trim_end_matches('/').rsplit('/').next().unwrap_or(key);
    let url = presigned(visit, (bucket, key), version, (Some(name), DOWNLOAD_EXPIRES_S))?;
    let place = url.path_and_query().map(|place| place.as_str()).unwrap_or_default();
    Ok(answer::see_other(place))
}

/// Deletes the object or a version of it, or puts one in front again.
pub(super) async fn change(visit: &Visit<'_>) -> Page {
    let (bucket, key) = (visit.required("bucket")?, visit.required("key")?);
    let (form, client) = (&visit.asked.form, &visit.client);
    let version = form.get("version");
    let object = view::place("/object", &[("bucket", bucket), ("key", key)]);
    let (place, done) = match form.text("deed") {
        "restore" => match client.restore_object(bucket, key, version).await? {
            Restored::Copied => (object, "The version is the current one again."),
            Restored::Undeleted(_) => (object, "The object is restored."),
            Restored::Current => (object, "It was not deleted."),
            Restored::Nothing => {
                let words = "There is no version of it that could be restored.";
                return Err(Failure::Entered(words.to_owned()));
            }
        },
        "delete" if form.text("confirm").trim() != key => {
            let words = "Type the key of the object to confirm; nothing was deleted.";
            return Err(Failure::Entered(words.to_owned()));
        }
        "delete" => {
            client.delete_object(bucket, key, version).await?;
            let folder = key.rfind('/').map(|at| &key[..=at]).unwrap_or_default();
            match version {
                Some(_) => (object, "The version is deleted, for good."),
                None => (place(bucket, folder, false), "The object is deleted."),
            }
        }
        _ => return Err(Failure::Entered("There is nothing to do.".to_owned())),
    };
    Ok(visit.done(&place, done))
}

impl VersionRow {
    fn new(bucket: &str, version: ObjectVersion, shown: Option<&str>, now: Moment) -> Self {
        let id = version.version_id.as_str();
        let fields = [("bucket", bucket), ("key", version.key.as_str()), ("version", id)];
        Self {
            link: view::place("/object", &fields),
            download: view::place("/download", &fields),
            is_latest: version.is_latest,
            is_marker: version.delete_marker,
            is_shown: shown == Some(id),
            size: view::size(version.size),
            written: now.told(&version.last_modified),
            id: version.version_id,
        }
    }
}
