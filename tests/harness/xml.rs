//! Looks into answers without a schema: the texts of elements by name.

/// The text of the first `<name>`; none if there is no such element.
pub fn text(document: &str, name: &str) -> Option<String> {
    texts(document, name).into_iter().next()
}

/// The texts of all elements `name`, in order, wherever they stand. Elements must not nest in
/// elements of the same name.
pub fn texts(document: &str, name: &str) -> Vec<String> {
    elements(document, name).iter().map(|inner| unescape(inner)).collect()
}

/// The inner markup of all elements `name`.
pub fn elements(document: &str, name: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = document;
    while let Some((inner, after)) = next_element(rest, name) {
        found.push(inner.to_owned());
        rest = after;
    }
    found
}

fn next_element<'a>(document: &'a str, name: &str) -> Option<(&'a str, &'a str)> {
    let mut rest = document;
    loop {
        let at = rest.find(&format!("<{name}"))?;
        let tail = &rest[at + 1 + name.len()..];
        match tail.bytes().next()? {
            b'>' => {}
            b'/' | b' ' => {
                let end = tail.find('>')?;
                if tail[..end].ends_with('/') {
                    return Some(("", &tail[end + 1..]));
                }
                let inner = &tail[end + 1..];
                let close = inner.find(&format!("</{name}>"))?;
                return Some((&inner[..close], &inner[close..]));
            }
            _ => {
                rest = tail;
                continue;
            }
        }
        let inner = &tail[1..];
        let close = inner.find(&format!("</{name}>"))?;
        return Some((&inner[..close], &inner[close..]));
    }
}

fn unescape(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&#34;", "\"")
        .replace("&apos;", "'")
        .replace("&#39;", "'")
        .replace("&amp;", "&")
}
