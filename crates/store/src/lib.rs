//! The domain: buckets, objects, versions, multipart uploads, conditions, users, groups and keys.
//!
//! Every change is one commit of [`tidelock_meta::MetaStore`]: an operation reads rows, plans a batch
//! of checks and writes as a pure function of what it read, and [`commit`] retries it until the batch
//! lands or the plan has an answer. Nothing is checked first and written later, and no state in this
//! process decides whether a write is right, so that many servers can share one store.
//!
//! This crate knows no XML, no header syntax and no status code; it knows no socket and no file.

mod access_key;
mod audit;
mod body;
mod bucket;
mod checksum;
mod commit;
mod condition;
mod config;
mod encryption;
mod entitlement;
mod entropy;
mod error;
mod failpoint;
mod group;
mod guard;
mod identity;
mod keyring;
mod lease;
mod lifecycle;
mod listing;
mod lock;
mod multipart;
mod name;
mod object;
mod origin;
mod policy_holder;
mod rewrap;
mod role;
mod row_blob;
mod sealing;
mod session;
mod state;
mod sweep;
mod version;
mod webhook;

use std::sync::Arc;

use commit::Rows;
use guard::{LOOKED_INTO_KIB_MAX, RefusedLocks};
use tidelock_blob::BlobStore;
use tidelock_meta::MetaStore;
pub use tidelock_meta::record::bucket::{
    BucketRow, DefaultEncryption, DefaultRetention, Enforcement, GuardConfig, LockHistory,
    ObjectLock, ObjectOwnership, PublicAccessBlock, RetentionPeriod, Versioning,
};
pub use tidelock_meta::record::bucket_document::DocumentId;
pub use tidelock_meta::record::controls::{
    Acl, Controls, Grant, Grantee, Permission, Retention, RetentionMode, ServerSideEncryption,
};
pub use tidelock_meta::record::lifecycle::{
    Expiration, FilterForm, Lifecycle, LifecycleFilter, LifecycleRule, NoncurrentExpiration,
    TransitionMinimum,
};
pub use tidelock_meta::record::version::{
    Checksum, ChecksumAlgorithm, ChecksumType, ETag, VersionId,
};
pub use tidelock_meta::{Clock, UnixMillis};

pub use access_key::{AccessKey, KEY_OVERLAP_MAX, KEY_USE_STEP, NewAccessKey};
pub use audit::{
    AUDIT_BUFFER_BYTES_MAX, AUDIT_BUFFER_ENTRIES_MAX, AuditDamage, AuditEvent, AuditPage,
    AuditPosition, AuditQuery, AuditRecord, AuditTurn, AuditVerification, InvalidAuditPosition,
    QUERY_ENTRIES_MAX, SealWhen,
};
pub use body::source::{BodyError, BodySource, BytesSource};
pub use bucket::{
    BUCKET_TAGS_MAX, Bucket, BucketAccess, BucketChange, BucketPage, DocumentKind, Granted,
    GuardEdit, JudgedObject, NewBucket, ObjectAccess,
};
pub use checksum::{BodyDigest, ChecksumExpectation, ChecksumRequest, Digester};
pub use condition::{
    ConditionFailure, DeleteCondition, ETagMatch, LockBreaking, WriteCondition, etag_text,
};
pub use config::StoreConfig;
pub use encryption::{CUSTOMER_KEY_BYTES, CustomerKey, EncryptionRequest};
pub use entitlement::{AssumedRole, Entitlement, REPOSITORY_TAG, RUN_URL_TAG, SUBJECT_TAG};
pub use entropy::{Entropy, SystemEntropy};
pub use error::{
    BucketError, CompleteError, CopyError, CreateBucketError, CreateUploadError, DeleteBucketError,
    DeleteObjectError, EncryptionError, GetObjectError, IdentityError, PutLockError,
    PutObjectError, StorageError, UploadError, UploadPartError,
};
pub use failpoint::{Failpoint, InvalidFailpoint};
pub use group::{GROUPS_MAX, GROUPS_PER_USER_MAX, Group, MEMBERS_MAX};
pub use guard::{
    ALLOWANCE_TERM_MAX, AllowError, HeldLock, LockCounts, LockFacts, LockRelease, LockedBy,
    REFUSED_KEPT_MAX, REFUSED_TERM, Refusal, RefusalReason, RefusedError, RefusedVersion,
    ReleaseError, StateAllowance,
};
pub use identity::{ACCOUNT_ID, Credentials, KeyRefusal, Principal, ROOT_ARN, User};
pub use keyring::{Keyring, KeyringError};
pub use lease::{
    ANNOUNCEMENT_INTERVAL, ANNOUNCEMENT_TERM, AnnouncedServer, Announcements, CLOCK_SKEW_MAX,
    LEASE_TERM_MAX, LeaseTerm, SILENCE, Watched, watch_servers,
};
pub use lifecycle::{LifecycleReport, LifecycleSubject, ObjectExpiration};
pub use listing::{
    ListObjects, ListUploads, ListVersions, ListedFacts, ListedObject, ListedUpload, ListedVersion,
    ObjectPage, UploadPage, VersionCursor, VersionPage,
};
pub use multipart::{
    CompleteUpload, CreateUpload, InvalidUploadId, ListedPart, PartPage, RequestedPart, StoredPart,
    UploadChecksum, UploadId, UploadInfo, UploadPart,
};
pub use name::OBJECT_KEY_BYTES_MAX;
pub use name::{BucketName, InvalidBucketName, InvalidObjectKey, ObjectKey};
pub use object::{
    ByteRange, CONTENT_TYPE_DEFAULT, CopyObject, CopySource, DeletedObject, GetObject, Governance,
    LockChange, ObjectEdit, ObjectInfo, ObjectReader, ObjectSettings, PutObject, StoredObject,
};
pub use origin::{
    Audited, CallId, ConnectionId, Conversation, Origin, Protocol, USER_AGENT_BYTES_MAX, call_id,
    user_agent,
};
pub use rewrap::{
    InvalidRewrapCursor, KeyUse, Rewrap, RewrapCursor, RewrapError, RewrapMode, RewrapPage,
};
pub use role::{
    NewRole, POLICIES_BYTES_MAX, POLICIES_MAX, Role, SESSION_TERM_S, TRUST_POLICY_BYTES_MAX,
};
pub use row_blob::RowBlobStore;
pub use sealing::{
    SealingError, StoreSealing, check_keyring, finish_copy, mark_copy, open_sealing, read_sealing,
    root_credentials,
};
pub use session::{
    NewSession, SESSION_KEY_PREFIX, SESSION_TOKEN_BYTES_MAX, Session, SessionCredentials,
    SessionError,
};
pub use state::{
    FoundInstance, ListStates, ListedState, ListedStateVersion, SearchCursor, SearchPage,
    SearchStates, StatePage, UnknownObject,
};
pub use sweep::{ServesAlone, SweepReport};
pub use tidelock_meta::record::audit_entry::AuditEntry;
pub use tidelock_meta::record::run::Run;
pub use tidelock_meta::record::session::{SessionFacts, SessionSubject};
pub use tidelock_meta::record::state::{StateChanges, StateCounts, StateFacts, WrittenUnder};
pub use tidelock_meta::record::store::StoreState;
pub use tidelock_tfstate::{Index as InstanceKey, Mode as ResourceMode, ResourceQuery};
pub use version::{DisplayVersion, InvalidVersionId, VersionSelector};
pub use webhook::{
    DEAD_LETTERS_MAX, DeadLetter, EventKind, InvalidEventKind, InvalidWebhookId, NewWebhook,
    OpenWebhook, WEBHOOK_ATTEMPTS_DEFAULT, WEBHOOK_ATTEMPTS_MAX, WEBHOOKS_MAX, Webhook,
    WebhookError, WebhookEvent, WebhookEvents, WebhookId,
};

/// The store: all operations of the domain, over a [`MetaStore`] and a [`BlobStore`].
pub struct Store {
    rows: Rows,
    blobs: Arc<dyn BlobStore>,
    keyring: Keyring,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    config: StoreConfig,
    root: Option<(String, zeroize::Zeroizing<String>)>,
    refused_locks: RefusedLocks,
    /// Memory for bodies that are looked into, in KiB.
    looking_into: tokio::sync::Semaphore,
    /// Names this process in intent rows.
    owner: [u8; 16],
    audit_log: audit::AuditLog,
    key_uses: access_key::KeyUses,
}

impl Store {
    /// A store over these components. Does no I/O.
    pub fn new(
        meta: Arc<dyn MetaStore>,
        blobs: Arc<dyn BlobStore>,
        keyring: Keyring,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        config: StoreConfig,
    ) -> Self {
        let owner = entropy::array(&*entropy);
        let rows = Rows::new(meta);
        let refused_locks = RefusedLocks::new(config.lock_waits_max);
        let looking_into = tokio::sync::Semaphore::new(LOOKED_INTO_KIB_MAX);
        Self {
            rows,
            blobs,
            keyring,
            clock,
            entropy,
            config,
            root: None,
            refused_locks,
            looking_into,
            audit_log: audit::AuditLog::default(),
            key_uses: access_key::KeyUses::default(),
            owner,
        }
    }

    /// What the store was made with.
    pub fn config(&self) -> &StoreConfig {
        &self.config
    }

    /// The keys that wrap all others.
    pub fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    fn now(&self) -> UnixMillis {
        self.clock.now()
    }

    fn random<const N: usize>(&self) -> [u8; N] {
        entropy::array(&*self.entropy)
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("config", &self.config).finish_non_exhaustive()
    }
}
