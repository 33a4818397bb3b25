//! The objects of a bucket, folder by folder and page by page, with their versions if asked for; and the
//! form that sends a file, from the browser straight to the bucket.

use askama::Template;
use http::StatusCode;
use tidelock_client::{
    ClientError, Object, ObjectVersion, ObjectsPage, PageOf, SignedForm, UploadForm, VersionsPage,
};

use super::{DONE, Page, Shell, Visit, unless_denied};
use crate::answer;
use crate::failure::Failure;
use crate::view::{self, Moment, Told};

/// Rows of one page.
const ROWS_MAX: usize = 100;
/// What folders end with.
const DELIMITER: &str = "/";
/// How long the form may be sent after the page was made, in seconds.
const UPLOAD_EXPIRES_S: u32 = 3_600;
/// What is said once a file was sent.
const STORED: &str = "The file is stored.";

#[derive(Template)]
#[template(path = "objects.html")]
struct Objects {
    shell: Shell,
    bucket: String,
    prefix: String,
    settings: String,
    states: String,
    /// The folders above, each with where it is.
    crumbs: Vec<(String, String)>,
    with_versions: bool,
    /// The same with versions, or without.
    toggled: String,
    rows: Vec<Row>,
    /// Why there are none.
    refusal: String,
    is_first: bool,
    next: Option<String>,
    upload: SignedForm,
    after_upload: String,
}

/// A folder, an object, or a version of one.
struct Row {
    name: String,
    link: String,
    size: String,
    written: Option<Told>,
    version: String,
    /// Of the stylesheet, and what it says.
    badge: Option<(&'static str, &'static str)>,
    download: Option<String>,
    /// Whose delete marker hides it: the key.
    restore: Option<String>,
}

pub(super) async fn show(visit: &Visit<'_>) -> Page {
    let Some(bucket) = visit.asked.query.get("bucket") else {
        return Ok(answer::see_other(&format!("{}/buckets", crate::PREFIX)));
    };
    let prefix = visit.asked.query("prefix");
    let with_versions = visit.asked.query("versions") == "1";
    let listed = match list(visit, bucket, prefix, with_versions).await {
        Ok(listed) => Ok(listed),
        Err(error) => {
            let words = error.to_string();
            unless_denied::<()>(error)?;
            Err(words)
        }
    };
    let refusal = listed.as_ref().err().cloned().unwrap_or_default();
    let (rows, next) = listed.unwrap_or_default();
    let address = view::address(bucket, prefix);
    let command = if with_versions {
        format!("tidelock object version list {address}")
    } else {
        format!("tidelock object list {address}")
    };
    let place = place(bucket, prefix, with_versions);
    let after_upload = format!("{place}&{DONE}={}", view::escaped(STORED));
    let page = Objects {
        shell: visit.shell("buckets", &format!("Objects of {bucket}"), command),
        settings: view::place("/bucket", &[("bucket", bucket)]),
        states: view::place("/", &[("bucket", bucket), ("prefix", prefix)]),
        crumbs: crumbs(bucket, prefix, with_versions),
        toggled: self::place(bucket, prefix, !with_versions),
        is_first: visit.asked.query("after").is_empty(),
        upload: upload(visit, bucket, prefix, &after_upload)?,
        after_upload,
        with_versions,
        rows,
        refusal,
        next,
        bucket: bucket.to_owned(),
        prefix: prefix.to_owned(),
    };
    Ok(answer::html(StatusCode::OK, &page))
}

/// The rows of the page, and where the next one is.
async fn list(
    visit: &Visit<'_>,
    bucket: &str,
    prefix: &str,
    with_versions: bool,
) -> Result<(Vec<Row>, Option<String>), ClientError> {
    let asked = PageOf { bucket, prefix, delimiter: Some(DELIMITER), max: ROWS_MAX };
    let (after, now) = (visit.asked.query.get("after"), visit.now());
    let here = place(bucket, prefix, with_versions);
    let folder = |name: &String| Row::folder(bucket, prefix, name, with_versions);
    if with_versions {
        let after = after.map(|key| (key, visit.asked.query("after_version")));
        let VersionsPage { versions, prefixes, next } =
            visit.client.versions_page(&asked, after).await?;
        let found = versions.into_iter().map(|it| Row::version(bucket, prefix, it, now));
        let next = next.map(|(key, id)| {
            format!("{here}&after={}&after_version={}", view::escaped(&key), view::escaped(&id))
        });
        return Ok((prefixes.iter().map(folder).chain(found).collect(), next));
    }
    let ObjectsPage { objects, prefixes, next } = visit.client.objects_page(&asked, after).await?;
    let found = objects.into_iter().map(|it| Row::object(bucket, prefix, it, now));
    let next = next.map(|token| format!("{here}&after={}", view::escaped(&token)));
    Ok((prefixes.iter().map(folder).chain(found).collect(), next))
}

/// The form that sends a file into the folder, signed by this user's session.
fn upload(
    visit: &Visit<'_>,
    bucket: &str,
    prefix: &str,
    after: &str,
) -> Result<SignedForm, Failure> {
    let outside = visit.outside()?;
    let origin = outside.settings().endpoint.to_string();
    let redirect = format!("{}{after}", origin.trim_end_matches('/'));
    let form = UploadForm { bucket, prefix, redirect: &redirect, expires_s: UPLOAD_EXPIRES_S };
    Ok(outside.upload_form(&form)?)
}

/// Where the folder is shown.
pub(super) fn place(bucket: &str, prefix: &str, with_versions: bool) -> String {
    let mut fields = vec![("bucket", bucket), ("prefix", prefix)];
    if with_versions {
        fields.push(("versions", "1"));
    }
    view::place("/objects", &fields)
}

/// The folders above `prefix`, the bucket first; what stands after the last `/` is none.
pub(super) fn crumbs(bucket: &str, prefix: &str, with_versions: bool) -> Vec<(String, String)> {
    let mut crumbs = vec![(bucket.to_owned(), place(bucket, "", with_versions))];
    let ends = prefix.match_indices(DELIMITER).map(|(at, _)| at + DELIMITER.len());
    let mut start = 0;
    for end in ends {
        let name = prefix[start..end].to_owned();
        crumbs.push((name, place(bucket, &prefix[..end], with_versions)));
        start = end;
    }
    crumbs
}

impl Row {
    fn folder(bucket: &str, prefix: &str, name: &str, with_versions: bool) -> Self {
        Self {
            name: below(prefix, name),
            link: place(bucket, name, with_versions),
            size: String::new(),
            written: None,
            version: String::new(),
            badge: None,
            download: None,
            restore: None,
        }
    }

    fn object(bucket: &str, prefix: &str, object: Object, now: Moment) -> Self {
        let fields = [("bucket", bucket), ("key", object.key.as_str())];
        Self {
            name: below(prefix, &object.key),
            link: view::place("/object", &fields),
            size: view::size(object.size),
            written: Some(now.told(&object.last_modified)),
            version: String::new(),
            badge: None,
            download: Some(view::place("/download", &fields)),
            restore: None,
        }
    }

    fn version(bucket: &str, prefix: &str, version: ObjectVersion, now: Moment) -> Self {
        let ObjectVersion { key, version_id: id, is_latest, delete_marker, .. } = &version;
        let whole = [("bucket", bucket), ("key", key.as_str())];
        let fields = [whole[0], whole[1], ("version", id.as_str())];
        let badge = match (is_latest, delete_marker) {
            (true, true) => Some(("bad", "deleted")),
            (true, false) => Some(("alive", "current")),
            (false, true) => Some(("quiet", "delete marker")),
            (false, false) => None,
        };
        Self {
            name: below(prefix, key),
            link: view::place("/object", if *is_latest { &whole } else { &fields }),
            size: if *delete_marker { String::new() } else { view::size(version.size) },
            written: Some(now.told(&version.last_modified)),
            version: id.clone(),
            badge,
            download: (!delete_marker).then(|| view::place("/download", &fields)),
            restore: (*is_latest && *delete_marker).then(|| key.clone()),
        }
    }
}

/// What stands after the prefix, or all of a key that is no longer than it.
fn below(prefix: &str, key: &str) -> String {
    let rest = key.strip_prefix(prefix).filter(|rest| !rest.is_empty());
    // A prefix that ends within a name cuts none.
    match prefix.rfind(DELIMITER) {
        _ if prefix.is_empty() || prefix.ends_with(DELIMITER) => rest.unwrap_or(key).to_owned(),
        Some(at) => key.get(at + DELIMITER.len()..).unwrap_or(key).to_owned(),
        None => key.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_their_folder() {
        let rows = [
            ("", "a/b", "a/b"),
            ("a/", "a/b", "b"),
            ("a/", "a/b/", "b/"),
            ("a/", "a/", "a/"),
            ("a/b", "a/bc", "bc"),
            ("ab", "abc", "abc"),
        ];
        for (prefix, key, expected) in rows {
            assert_eq!(below(prefix, key), expected, "{key} below {prefix}");
        }
    }

    #[test]
    fn crumbs_lead_to_each_folder_above() {
        let names = |prefix| -> Vec<String> {
            crumbs("b", prefix, false).into_iter().map(|(name, _)| name).collect()
        };
        assert_eq!(names(""), ["b"]);
        assert_eq!(names("a/ü/c"), ["b", "a/", "ü/"]);
        let (_, link) = crumbs("b", "a/c/", true).pop().unwrap();
        assert_eq!(link, "/_/console/objects?bucket=b&prefix=a%2Fc%2F&versions=1");
    }
}
