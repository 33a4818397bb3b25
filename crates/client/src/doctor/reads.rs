//! Whether what was written is what is read, at once: objects, lists and ranges.

use http::{Method, StatusCode};

use super::check::{Check, Made, Needs, Outcome, Weight};
use super::ward::Ward;
use crate::ClientError;

/// Times that a read follows a write.
const READS: u32 = 10;
/// What Terraform asks for first: five mebibytes, whatever the length is.
const TERRAFORM_RANGE: &str = "bytes=0-5242879";
/// One that no Terraform asks for.
const SUFFIX_RANGE: &str = "bytes=-3";
/// What to do about ranges that Terraform does without.
const OTHERS: &str = "nothing for states; other clients may need it";

pub(super) const CHECKS: &[Check] = &[
    Check {
        name: "read-after-write",
        weight: Weight::Locks,
        needs: Needs::Nothing,
        advice: "do not keep states here: a run would begin with an old state, or with none",
        run: |ward| -> Made<'_> { Box::pin(read_after_write(ward)) },
    },
    Check {
        name: "list-after-write",
        weight: Weight::Locks,
        needs: Needs::Nothing,
        advice: "do not use workspaces here: they are found by listing",
        run: |ward| -> Made<'_> { Box::pin(list_after_write(ward)) },
    },
    Check {
        name: "ranged-reads",
        weight: Weight::Locks,
        needs: Needs::Nothing,
        advice: "do not keep states here: Terraform reads them in ranges",
        run: |ward| -> Made<'_> { Box::pin(ranged_reads(ward)) },
    },
];

async fn read_after_write(ward: &Ward) -> Result<Outcome, ClientError> {
    for number in 0..READS {
        let name = format!("read-{number}");
        // Asked for beforehand: some caches remember that there was nothing.
        let steps = [None, Some("first"), Some("second"), None];
        for (step, expected) in steps.into_iter().enumerate() {
            match expected {
                Some(body) => drop(ward.put(&name, body).await?),
                None if step > 0 => ward.delete(&name).await?,
                None => {}
            }
            let found = ward.get(&name).await?;
            if found.as_deref() != expected {
                let (wanted, found) = (worded(expected), worded(found.as_deref()));
                return Ok(Outcome::Bad(format!("a read gave {found} instead of {wanted}")));
            }
        }
    }
    Ok(Outcome::Good(format!("{READS} objects, each written twice, deleted, and read every time")))
}

async fn list_after_write(ward: &Ward) -> Result<Outcome, ClientError> {
    for number in 0..READS {
        let name = format!("list-{number}");
        ward.put(&name, "listed").await?;
        if listed(ward, &name).await? != 1 {
            return Ok(Outcome::Bad("an object that was written is not listed".to_owned()));
        }
        ward.delete(&name).await?;
        if listed(ward, &name).await? != 0 {
            return Ok(Outcome::Bad("an object that was deleted is listed".to_owned()));
        }
    }
    Ok(Outcome::Good(format!("{READS} objects, each listed once written and not once deleted")))
}

async fn ranged_reads(ward: &Ward) -> Result<Outcome, ClientError> {
    const BODY: &str = "0123456789";
    ward.put("ranged", BODY).await?;
    let rows = [
        (TERRAFORM_RANGE, BODY, "bytes 0-9/10"),
        ("bytes=2-4", "234", "bytes 2-4/10"),
        (SUFFIX_RANGE, "789", "bytes 7-9/10"),
    ];
    let mut odd = None;
    for (range, expected, content_range) in rows {
        let request = ward.object(Method::GET, "ranged").header("range", range);
        let answer = ward.ask(&request).await?;
        let is_partial = answer.status == StatusCode::PARTIAL_CONTENT;
        let is_right = answer.body == if is_partial { expected } else { BODY };
        let has_range = answer.header("content-range") == Some(content_range);
        if is_right && is_partial && has_range {
            continue;
        }
        let seen = format!(
            "{range} is {} with {} bytes",
            answer.words(),
            if is_right { "the right" } else { "other" }
        );
        // The whole body is another way to answer, and one that clients must take (RFC 9110, 14.2).
        if !is_right && range != SUFFIX_RANGE {
            return Ok(Outcome::Bad(seen));
        }
        odd.get_or_insert(seen);
    }
    Ok(match odd {
        Some(seen) => Outcome::Odd(seen, Some(OTHERS)),
        None => Outcome::Good("206 with the right bytes".to_owned()),
    })
}

async fn listed(ward: &Ward, name: &str) -> Result<usize, ClientError> {
    let key = ward.key(name);
    let mut pages = ward.client.list_objects(&ward.bucket, &key);
    let mut found = 0;
    while let Some(page) = pages.next().await? {
        found += page.iter().filter(|object| object.key == key).count();
    }
    Ok(found)
}

fn worded(body: Option<&str>) -> String {
    body.map_or_else(|| "nothing".to_owned(), |body| format!("the {body} body"))
}
