//! `CORSConfiguration`: read, checked, and written as it is kept.

use super::super::{Element, XmlWriter, parse};
use super::once;
use crate::error::{S3Error, S3Result};

/// Rules of one bucket.
const RULES_MAX: usize = 100;
const ID_CHARACTERS_MAX: usize = 255;
/// The methods a rule can allow.
pub(crate) const CORS_METHODS: [&str; 5] = ["GET", "PUT", "HEAD", "POST", "DELETE"];

/// One rule: what pages of which origins may ask for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct CorsRule {
    pub(crate) id: Option<String>,
    /// At least one, each one of [`CORS_METHODS`].
    pub(crate) methods: Vec<String>,
    /// At least one, each with at most one `*`.
    pub(crate) origins: Vec<String>,
    /// Each with at most one `*`.
    pub(crate) headers: Vec<String>,
    pub(crate) exposed: Vec<String>,
    /// Seconds.
    pub(crate) max_age: Option<u32>,
}

/// `CORSConfiguration`
/// (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_CORSConfiguration.html>).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CorsDocument {
    /// At least one, at most a hundred.
    pub(crate) rules: Vec<CorsRule>,
}

impl CorsDocument {
    /// Reads the document.
    ///
    /// # Errors
    ///
    /// `MalformedXML` for what is no such document, `InvalidRequest` for a rule that says what no rule
    /// can.
    pub(crate) fn parse(document: &[u8]) -> S3Result<Self> {
        let root = parse(document)?;
        root.expect_root("CORSConfiguration")?;
        let rules: Vec<_> = root.children().iter().map(CorsRule::of).collect::<S3Result<_>>()?;
        match rules.len() {
            0 => Err(S3Error::malformed_xml()),
            1..=RULES_MAX => Ok(Self { rules }),
            _ => Err(S3Error::invalid_request(format!(
                "The number of CORS rules should not exceed allowed limit of {RULES_MAX} rules."
            ))),
        }
    }

    /// The document that [`Self::parse`] reads.
    pub(crate) fn to_xml(&self) -> String {
        XmlWriter::s3_document("CORSConfiguration", |xml| {
            for rule in &self.rules {
                xml.element("CORSRule", |xml| rule.write_inside(xml));
            }
        })
    }
}

impl CorsRule {
    fn of(element: &Element) -> S3Result<Self> {
        element.expect_root("CORSRule")?;
        let mut rule = Self::default();
        for child in element.children() {
            let text = child.trimmed();
            match child.name() {
                "ID" => once(&mut rule.id, text.to_owned())?,
                "AllowedMethod" => rule.methods.push(method(text)?),
                "AllowedOrigin" => rule.origins.push(pattern("AllowedOrigin", text)?),
                "AllowedHeader" => rule.headers.push(pattern("AllowedHeader", text)?),
                "ExposeHeader" => rule.exposed.push(exposed(text)?),
                "MaxAgeSeconds" => once(&mut rule.max_age, child.parsed()?)?,
                _ => return Err(S3Error::malformed_xml()),
            }
        }
        let id_characters = rule.id.as_ref().map_or(0, |id| id.chars().count());
        if id_characters > ID_CHARACTERS_MAX {
            return Err(S3Error::invalid_request(format!(
                "ID length should not exceed allowed limit of {ID_CHARACTERS_MAX}"
            )));
        }
        if rule.methods.is_empty() || rule.origins.is_empty() {
            return Err(S3Error::malformed_xml());
        }
        Ok(rule)
    }

    fn write_inside(&self, xml: &mut XmlWriter) {
        xml.optional("ID", self.id.as_deref());
        let lists = [
            ("AllowedMethod", &self.methods),
            ("AllowedOrigin", &self.origins),
            ("AllowedHeader", &self.headers),
            ("ExposeHeader", &self.exposed),
        ];
        for (name, texts) in lists {
            texts.iter().for_each(|text| xml.text(name, text));
        }
        if let Some(seconds) = self.max_age {
            xml.value("MaxAgeSeconds", seconds);
        }
    }
}

fn method(text: &str) -> S3Result<String> {
    if CORS_METHODS.contains(&text) {
        return Ok(text.to_owned());
    }
    Err(S3Error::invalid_request(format!(
        "Found unsupported HTTP method in CORS config. Unsupported method is {text}"
    )))
}

fn pattern(element: &str, text: &str) -> S3Result<String> {
    if text.matches('*').count() <= 1 {
        return Ok(text.to_owned());
    }
    Err(S3Error::invalid_request(format!(
        "{element} \"{text}\" can not have more than one wildcard."
    )))
}

fn exposed(text: &str) -> S3Result<String> {
    if !text.contains('*') {
        return Ok(text.to_owned());
    }
    Err(S3Error::invalid_request(format!(
        "ExposeHeader \"{text}\" contains wildcard. We currently do not support wildcard for \
         ExposeHeader."
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: &str = "<CORSRule><AllowedMethod>GET</AllowedMethod>\
                        <AllowedOrigin>*</AllowedOrigin></CORSRule>";

    fn check(inside: &str, expected: Result<usize, &str>) {
        let document = format!("<CORSConfiguration>{inside}</CORSConfiguration>");
        let parsed = CorsDocument::parse(document.as_bytes());
        let shown = parsed.as_ref().map(|it| it.rules.len()).map_err(|it| it.code().as_str());
        assert_eq!(shown, expected, "{inside}");
        if let Ok(parsed) = parsed {
            let again = CorsDocument::parse(parsed.to_xml().as_bytes()).unwrap();
            assert_eq!(again, parsed, "{inside}");
        }
    }

    fn rule(inside: &str) -> String {
        RULE.replace("<CORSRule>", &format!("<CORSRule>{inside}"))
    }

    #[test]
    fn documents_are_read_or_refused() {
        check(RULE, Ok(1));
        check(&RULE.repeat(100), Ok(100));
        check(&RULE.repeat(101), Err("InvalidRequest"));
        check("", Err("MalformedXML"));
        check("<CORSRule/>", Err("MalformedXML"));
        check("<Other/>", Err("MalformedXML"));
        check("<CORSRule><AllowedMethod>GET</AllowedMethod></CORSRule>", Err("MalformedXML"));
        check("<CORSRule><AllowedOrigin>*</AllowedOrigin></CORSRule>", Err("MalformedXML"));
        for (inside, expected) in [
            ("<ID>a</ID>", Ok(1)),
            ("<ID>a</ID><ID>b</ID>", Err("MalformedXML")),
            ("<AllowedMethod>DELETE</AllowedMethod>", Ok(1)),
            ("<AllowedMethod>OPTIONS</AllowedMethod>", Err("InvalidRequest")),
            ("<AllowedMethod>get</AllowedMethod>", Err("InvalidRequest")),
            ("<AllowedOrigin/>", Ok(1)),
            ("<AllowedOrigin>https://*.example.com</AllowedOrigin>", Ok(1)),
            ("<AllowedOrigin>https://*.*</AllowedOrigin>", Err("InvalidRequest")),
            ("<AllowedHeader>x-amz-*</AllowedHeader>", Ok(1)),
            ("<AllowedHeader>*-*</AllowedHeader>", Err("InvalidRequest")),
            ("<ExposeHeader>ETag</ExposeHeader>", Ok(1)),
            ("<ExposeHeader>*</ExposeHeader>", Err("InvalidRequest")),
            ("<MaxAgeSeconds>0</MaxAgeSeconds>", Ok(1)),
            ("<MaxAgeSeconds>-1</MaxAgeSeconds>", Err("MalformedXML")),
            (
                "<MaxAgeSeconds>1</MaxAgeSeconds><MaxAgeSeconds>1</MaxAgeSeconds>",
                Err("MalformedXML"),
            ),
            ("<Unknown/>", Err("MalformedXML")),
        ] {
            check(&rule(inside), expected);
        }
        check(&rule(&format!("<ID>{}</ID>", "i".repeat(255))), Ok(1));
        check(&rule(&format!("<ID>{}</ID>", "i".repeat(256))), Err("InvalidRequest"));
    }
}
