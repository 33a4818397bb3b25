//! The clients of the cloud stores: credentials, endpoint, time-outs and retries. Sends nothing.

use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, Checksum};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};

use super::OpenError;
use super::error::words_without_quotes;
use super::location::{Location, Scheme};

/// A store that does not take a connection in this time is not there.
const CONNECT_SECONDS_MAX: u64 = 5;
/// The longest request, from its first byte to its last: 5 MiB at 100 KiB/s.
const REQUEST_SECONDS_MAX: u64 = 60;
/// Tries after the first one, of a request that may be sent again.
const RETRIES_MAX: usize = 6;
/// After this time nothing is tried again.
const RETRY_SECONDS_MAX: u64 = 60;
/// Pause before the first retry; doubles with each.
const BACKOFF_FIRST_MILLISECONDS: u64 = 100;
/// Longest pause before a retry.
const BACKOFF_MILLISECONDS_MAX: u64 = 5_000;

/// What S3 is told from variables: who asks, and where. The rest of what the library would take decides
/// how blobs are written, which is not for an environment to change.
const S3_VARIABLES: [&str; 13] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_DEFAULT_REGION",
    "AWS_REGION",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_ENDPOINT_URL_STS",
    "AWS_METADATA_ENDPOINT",
];
/// Where S3 is, the first one first.
const S3_ENDPOINT_VARIABLES: [&str; 2] = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"];

type Variables = [(String, String)];

/// The client of a cloud store.
pub(super) fn build(
    location: &Location,
    variables: &Variables,
) -> Result<Arc<dyn ObjectStore>, OpenError> {
    // The HTTP client takes the process's provider and has none of its own. Fails when there is one
    // already, which is as good.
    drop(rustls::crypto::ring::default_provider().install_default());
    let built: object_store::Result<Arc<dyn ObjectStore>> = match location.scheme {
        Scheme::S3 => s3(location, variables)?.build().map(|client| Arc::new(client) as _),
        Scheme::Gs => gs(location, variables).build().map(|client| Arc::new(client) as _),
        Scheme::Az => az(location, variables).build().map(|client| Arc::new(client) as _),
        Scheme::File => return Err(OpenError::Settings("a directory has no client".to_owned())),
    };
    built.map_err(|error| OpenError::Settings(words_without_quotes(&error)))
}

fn s3(location: &Location, variables: &Variables) -> Result<AmazonS3Builder, OpenError> {
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(&location.container)
        .with_checksum_algorithm(Checksum::SHA256)
        // Blobs go one by one, by a request that everything that speaks S3 knows.
        .with_disable_bulk_delete(true)
        .with_retry(retries());
    for name in S3_VARIABLES {
        let key = name.to_ascii_lowercase().parse::<AmazonS3ConfigKey>();
        if let (Ok(key), Some(value)) = (key, variable(variables, name)) {
            builder = builder.with_config(key, value);
        }
    }
    if let Some(region) = location.parameter("region") {
        builder = builder.with_region(region);
    }
    let is_path_style = match location.parameter("path_style") {
        None | Some("true") => true,
        Some("false") => false,
        Some(_) => return Err(OpenError::Url("path_style is true or false".to_owned())),
    };
    builder = builder.with_virtual_hosted_style_request(!is_path_style);
    let endpoint = location
        .parameter("endpoint")
        .or_else(|| S3_ENDPOINT_VARIABLES.iter().find_map(|name| variable(variables, name)));
    let Some(endpoint) = endpoint.map(|endpoint| endpoint.trim_end_matches('/')) else {
        return Ok(builder.with_client_options(options()));
    };
    // The library takes the endpoint of a virtual host as it is, bucket and all.
    let endpoint = match endpoint.split_once("://") {
        Some((scheme, host)) if !is_path_style => {
            format!("{scheme}://{}.{host}", location.container)
        }
        _ => endpoint.to_owned(),
    };
    let is_plain = endpoint.starts_with("http://");
    let options = options().with_allow_http(is_plain);
    Ok(builder.with_endpoint(endpoint).with_client_options(options))
}

fn gs(location: &Location, variables: &Variables) -> GoogleCloudStorageBuilder {
    let builder = GoogleCloudStorageBuilder::new().with_retry(retries());
    let known = variables.iter().filter(|(name, _)| name.starts_with("GOOGLE_"));
    let builder = known.fold(builder, |builder, (name, value)| {
        match name.to_ascii_lowercase().parse::<GoogleConfigKey>() {
            Ok(key) => builder.with_config(key, value),
            Err(_) => builder,
        }
    });
    builder.with_bucket_name(&location.container).with_client_options(options())
}

fn az(location: &Location, variables: &Variables) -> MicrosoftAzureBuilder {
    let builder = MicrosoftAzureBuilder::new().with_retry(retries());
    let known = variables.iter().filter(|(name, _)| name.starts_with("AZURE_"));
    let builder = known.fold(builder, |builder, (name, value)| {
        match name.to_ascii_lowercase().parse::<AzureConfigKey>() {
            Ok(key) => builder.with_config(key, value),
            Err(_) => builder,
        }
    });
    let builder = match location.parameter("account") {
        Some(account) => builder.with_account(account),
        None => builder,
    };
    builder.with_container_name(&location.container).with_client_options(options())
}

fn variable<'a>(variables: &'a Variables, name: &str) -> Option<&'a str> {
    let found = variables.iter().find(|(candidate, _)| candidate == name);
    found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
}

fn options() -> ClientOptions {
    ClientOptions::new()
        .with_connect_timeout(Duration::from_secs(CONNECT_SECONDS_MAX))
        .with_timeout(Duration::from_secs(REQUEST_SECONDS_MAX))
}

fn retries() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(BACKOFF_FIRST_MILLISECONDS),
            max_backoff: Duration::from_millis(BACKOFF_MILLISECONDS_MAX),
            base: 2.0,
        },
        max_retries: RETRIES_MAX,
        retry_timeout: Duration::from_secs(RETRY_SECONDS_MAX),
    }
}
