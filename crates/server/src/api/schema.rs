//! What the documents of the API hold, by name, for its description. Tests hold it against what is
//! really answered.

use serde_json::{Map, Value, json};

/// A document.
pub(super) struct Schema {
    pub(super) name: &'static str,
    /// Name, what it is, and whether it is always there.
    pub(super) fields: &'static [(&'static str, Kind, bool)],
}

/// What a field is.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Text,
    Time,
    Number,
    Flag,
    OneOf(&'static [&'static str]),
    TextOrNull,
    TimeOrNull,
    NumberOrNull,
    /// Documents of this name.
    List(&'static str),
    /// Strings.
    Texts,
    /// A document of this name.
    OneOrNull(&'static str),
    /// What names an instance of a resource: a number, a string, or nothing.
    InstanceKey,
}

const LEVELS: Kind = Kind::OneOf(&["off", "observe", "enforce"]);
const HISTORIES: Kind = Kind::OneOf(&["keep", "purge"]);

/// All of them.
pub(super) const SCHEMAS: &[Schema] = &[
    Schema { name: "Error", fields: &[("code", Kind::Text, true), ("message", Kind::Text, true)] },
    Schema { name: "NewUser", fields: &[("name", Kind::Text, true)] },
    Schema {
        name: "User",
        fields: &[
            ("name", Kind::Text, true),
            ("arn", Kind::Text, true),
            ("created", Kind::Time, true),
            ("groups", Kind::Texts, true),
        ],
    },
    Schema { name: "Users", fields: &[("users", Kind::List("User"), true)] },
    Schema {
        name: "NewAccessKey",
        fields: &[("user", Kind::Text, true), ("expires", Kind::TimeOrNull, false)],
    },
    Schema {
        name: "AccessKeyRotation",
        fields: &[("overlap_seconds", Kind::Number, true), ("expires", Kind::TimeOrNull, false)],
    },
    Schema {
        name: "AccessKey",
        fields: &[
            ("access_key_id", Kind::Text, true),
            ("user", Kind::Text, true),
            ("created", Kind::Time, true),
            ("expires", Kind::TimeOrNull, true),
            ("last_used", Kind::TimeOrNull, true),
        ],
    },
    Schema {
        name: "AccessKeyWithSecret",
        fields: &[
            ("access_key_id", Kind::Text, true),
            ("secret_access_key", Kind::Text, true),
            ("user", Kind::Text, true),
            ("created", Kind::Time, true),
            ("expires", Kind::TimeOrNull, true),
            ("last_used", Kind::TimeOrNull, true),
        ],
    },
    Schema { name: "AccessKeys", fields: &[("keys", Kind::List("AccessKey"), true)] },
    Schema {
        name: "NamedPolicy",
        fields: &[("name", Kind::Text, true), ("document", Kind::Text, true)],
    },
    Schema { name: "NamedPolicies", fields: &[("policies", Kind::List("NamedPolicy"), true)] },
    Schema { name: "PolicyDocument", fields: &[("document", Kind::Text, true)] },
    Schema {
        name: "NewGroup",
        fields: &[("name", Kind::Text, true), ("policies", Kind::List("NamedPolicy"), false)],
    },
    Schema {
        name: "Group",
        fields: &[
            ("name", Kind::Text, true),
            ("arn", Kind::Text, true),
            ("policies", Kind::List("NamedPolicy"), true),
            ("members", Kind::Texts, true),
            ("created", Kind::Time, true),
        ],
    },
    Schema { name: "Groups", fields: &[("groups", Kind::List("Group"), true)] },
    Schema {
        name: "NewRole",
        fields: &[
            ("name", Kind::Text, true),
            ("trust_policy", Kind::Text, true),
            ("policies", Kind::List("NamedPolicy"), false),
            ("session_max_seconds", Kind::NumberOrNull, false),
        ],
    },
    Schema {
        name: "Role",
        fields: &[
            ("name", Kind::Text, true),
            ("arn", Kind::Text, true),
            ("trust_policy", Kind::Text, true),
            ("policies", Kind::List("NamedPolicy"), true),
            ("session_max_seconds", Kind::Number, true),
            ("created", Kind::Time, true),
        ],
    },
    Schema { name: "Roles", fields: &[("roles", Kind::List("Role"), true)] },
    Schema {
        name: "Guard",
        fields: &[
            ("lock_writes", LEVELS, true),
            ("serial", LEVELS, true),
            ("lock_required", Kind::Flag, true),
            ("lock_history", HISTORIES, true),
            ("stale_after_seconds", Kind::Number, true),
            ("state_bytes_max", Kind::NumberOrNull, true),
        ],
    },
    Schema {
        name: "GuardEdit",
        fields: &[
            ("lock_writes", LEVELS, false),
            ("serial", LEVELS, false),
            ("lock_required", Kind::Flag, false),
            ("lock_history", HISTORIES, false),
            ("stale_after_seconds", Kind::Number, false),
            ("state_bytes_max", Kind::NumberOrNull, false),
        ],
    },
    Schema {
        name: "Lock",
        fields: &[
            ("key", Kind::Text, true),
            ("id", Kind::Text, true),
            ("operation", Kind::Text, true),
            ("info", Kind::Text, true),
            ("who", Kind::Text, true),
            ("version", Kind::Text, true),
            ("created", Kind::Text, true),
            ("holder", Kind::Text, true),
            ("address", Kind::Text, true),
            ("user_agent", Kind::Text, true),
            ("since", Kind::Time, true),
            ("last_write", Kind::TimeOrNull, true),
            ("writes", Kind::Number, true),
            ("quiet", Kind::Flag, true),
        ],
    },
    Schema { name: "Locks", fields: &[("locks", Kind::List("Lock"), true)] },
    Schema {
        name: "LockRelease",
        fields: &[("id", Kind::TextOrNull, false), ("reason", Kind::Text, false)],
    },
    Schema {
        name: "RefusedState",
        fields: &[
            ("key", Kind::Text, true),
            ("id", Kind::Text, true),
            ("refused", Kind::Time, true),
            ("expires", Kind::Time, true),
            ("code", Kind::Text, true),
            ("message", Kind::Text, true),
            ("principal", Kind::Text, true),
            ("address", Kind::Text, true),
            ("user_agent", Kind::Text, true),
            ("size", Kind::Number, true),
            ("etag", Kind::Text, true),
        ],
    },
    Schema { name: "RefusedStates", fields: &[("refused", Kind::List("RefusedState"), true)] },
    Schema {
        name: "States",
        fields: &[
            ("guarded", Kind::Flag, true),
            ("states", Kind::List("State"), true),
            ("unknown", Kind::List("UnknownObject"), true),
            ("next", Kind::TextOrNull, true),
        ],
    },
    Schema {
        name: "State",
        fields: &[
            ("key", Kind::Text, true),
            ("version_id", Kind::TextOrNull, true),
            ("size", Kind::NumberOrNull, true),
            ("last_modified", Kind::TimeOrNull, true),
            ("written_by", Kind::TextOrNull, true),
            ("facts", Kind::OneOrNull("StateFacts"), true),
            ("lock", Kind::OneOrNull("Lock"), true),
        ],
    },
    Schema {
        name: "StateFacts",
        fields: &[
            ("serial", Kind::Number, true),
            ("lineage", Kind::Text, true),
            ("format_version", Kind::NumberOrNull, true),
            ("terraform_version", Kind::TextOrNull, true),
            ("counts", Kind::OneOrNull("StateCounts"), true),
            ("changes", Kind::OneOrNull("StateChanges"), true),
            ("changed", Kind::Texts, true),
            ("run", Kind::OneOrNull("Run"), true),
            ("lock_id", Kind::TextOrNull, true),
            ("operation", Kind::TextOrNull, true),
            ("rolled_back_from", Kind::TextOrNull, true),
        ],
    },
    Schema {
        name: "StateCounts",
        fields: &[
            ("managed", Kind::Number, true),
            ("data", Kind::Number, true),
            ("deposed", Kind::Number, true),
            ("tainted", Kind::Number, true),
            ("outputs", Kind::Number, true),
            ("sensitive_outputs", Kind::Number, true),
            ("failed_checks", Kind::Number, true),
        ],
    },
    Schema {
        name: "StateChanges",
        fields: &[
            ("added", Kind::Number, true),
            ("changed", Kind::Number, true),
            ("removed", Kind::Number, true),
        ],
    },
    Schema {
        name: "Run",
        fields: &[
            ("holder", Kind::Text, true),
            ("address", Kind::Text, true),
            ("user_agent", Kind::Text, true),
        ],
    },
    Schema {
        name: "UnknownObject",
        fields: &[
            ("key", Kind::Text, true),
            ("size", Kind::Number, true),
            ("last_modified", Kind::Time, true),
        ],
    },
    Schema {
        name: "FoundInstances",
        fields: &[
            ("found", Kind::List("FoundInstance"), true),
            ("unindexed", Kind::List("UnknownObject"), true),
            ("next", Kind::TextOrNull, true),
        ],
    },
    Schema {
        name: "FoundInstance",
        fields: &[
            ("key", Kind::Text, true),
            ("address", Kind::Text, true),
            ("module", Kind::TextOrNull, true),
            ("mode", Kind::Text, true),
            ("type", Kind::Text, true),
            ("name", Kind::Text, true),
            ("index", Kind::InstanceKey, true),
            ("provider", Kind::Text, true),
            ("deposed", Kind::TextOrNull, true),
            ("tainted", Kind::Flag, true),
        ],
    },
    Schema {
        name: "AuditPage",
        fields: &[
            ("entries", Kind::List("AuditEntry"), true),
            ("next", Kind::Text, true),
            ("complete", Kind::Flag, true),
            ("previous", Kind::Text, false),
        ],
    },
    Schema {
        name: "AuditEntry",
        fields: &[
            ("position", Kind::Text, true),
            ("id", Kind::Text, true),
            ("time", Kind::Time, true),
            ("action", Kind::Text, true),
            ("code", Kind::Text, true),
            ("principal", Kind::Text, true),
            ("protocol", Kind::Text, true),
            ("access_key_id", Kind::Text, false),
            ("address", Kind::Text, false),
            ("user_agent", Kind::Text, false),
            ("request_id", Kind::Text, false),
            ("bucket", Kind::Text, false),
            ("key", Kind::Text, false),
            ("version_id", Kind::Text, false),
            ("subject", Kind::Text, false),
            ("message", Kind::Text, false),
            ("lock_id", Kind::Text, false),
            ("lock_operation", Kind::Text, false),
            ("lock_who", Kind::Text, false),
            ("serial", Kind::Number, false),
            ("lineage", Kind::Text, false),
            ("refused_version", Kind::Text, false),
            ("reason", Kind::Text, false),
        ],
    },
    Schema {
        name: "AuditVerification",
        fields: &[
            ("intact", Kind::Flag, true),
            ("first_segment", Kind::Number, true),
            ("segments", Kind::Number, true),
            ("entries", Kind::Number, true),
            ("first_time", Kind::TimeOrNull, true),
            ("last_time", Kind::TimeOrNull, true),
            ("before_first", Kind::Text, true),
            ("head", Kind::Text, true),
            ("damaged_segment", Kind::Number, false),
            ("damage", Kind::Text, false),
        ],
    },
    Schema {
        name: "NewWebhook",
        fields: &[
            ("url", Kind::Text, true),
            ("events", Kind::Texts, true),
            ("bucket", Kind::TextOrNull, false),
            ("secret", Kind::TextOrNull, false),
            ("attempts_max", Kind::NumberOrNull, false),
            ("enabled", Kind::Flag, false),
        ],
    },
    Schema {
        name: "Webhook",
        fields: &[
            ("id", Kind::Text, true),
            ("url", Kind::Text, true),
            ("events", Kind::Texts, true),
            ("bucket", Kind::Text, false),
            ("enabled", Kind::Flag, true),
            ("attempts_max", Kind::Number, true),
            ("created", Kind::Time, true),
            ("secret", Kind::Text, false),
        ],
    },
    Schema { name: "Webhooks", fields: &[("webhooks", Kind::List("Webhook"), true)] },
    Schema {
        name: "DeadLetter",
        fields: &[
            ("event", Kind::Text, true),
            ("failed", Kind::Time, true),
            ("attempts", Kind::Number, true),
            ("error", Kind::Text, true),
            ("entry", Kind::OneOrNull("AuditEntry"), true),
        ],
    },
    Schema { name: "DeadLetters", fields: &[("dead_letters", Kind::List("DeadLetter"), true)] },
    Schema {
        name: "WebhookTest",
        fields: &[("delivered", Kind::Flag, true), ("error", Kind::Text, false)],
    },
    Schema {
        name: "Redelivery",
        fields: &[
            ("delivered", Kind::Number, true),
            ("left", Kind::Number, true),
            ("error", Kind::Text, false),
        ],
    },
    Schema {
        name: "Rewrap",
        fields: &[
            ("after", Kind::TextOrNull, false),
            ("kms_keys", Kind::Texts, false),
            ("dry_run", Kind::Flag, false),
        ],
    },
    Schema {
        name: "Rewrapped",
        fields: &[
            ("current", Kind::Text, true),
            ("rewrapped", Kind::Number, true),
            ("already", Kind::Number, true),
            ("damaged", Kind::Number, true),
            ("keys", Kind::List("KeyUse"), true),
            ("next", Kind::TextOrNull, true),
        ],
    },
    Schema {
        name: "KeyUse",
        fields: &[
            ("name", Kind::Text, true),
            ("wrapped", Kind::Number, true),
            ("kms", Kind::Number, true),
            ("defaults", Kind::Number, true),
        ],
    },
    Schema {
        name: "Server",
        fields: &[
            ("version", Kind::Text, true),
            ("started", Kind::Time, true),
            ("uptime_seconds", Kind::Number, true),
            ("health", Kind::OneOf(&["serving", "read-only", "unavailable"]), true),
            ("health_reason", Kind::TextOrNull, true),
            ("engine", Kind::OneOf(&["local", "memory", "postgres"]), true),
            ("bodies", Kind::OneOf(&["local", "memory", "postgres", "object store"]), true),
            ("replication", Kind::TextOrNull, true),
            ("servers", Kind::Number, true),
            ("disk", Kind::OneOrNull("Disk"), true),
            ("certificate", Kind::OneOrNull("Certificate"), true),
            ("requests_in_flight", Kind::Number, true),
            ("connections", Kind::Number, true),
            ("keys", Kind::Texts, true),
            ("minutes", Kind::List("Minute"), true),
        ],
    },
    Schema {
        name: "Disk",
        fields: &[
            ("total_bytes", Kind::Number, true),
            ("free_bytes", Kind::Number, true),
            ("reserve_bytes", Kind::Number, true),
        ],
    },
    Schema {
        name: "Certificate",
        fields: &[
            ("names", Kind::Texts, true),
            ("begins", Kind::Time, true),
            ("ends", Kind::Time, true),
        ],
    },
    Schema {
        name: "Minute",
        fields: &[
            ("start", Kind::Time, true),
            ("requests", Kind::Number, true),
            ("failed", Kind::Number, true),
            ("locks", Kind::Number, true),
        ],
    },
    Schema {
        name: "NewAllowance",
        fields: &[("key", Kind::Text, true), ("seconds", Kind::Number, true)],
    },
    Schema {
        name: "Allowance",
        fields: &[("key", Kind::Text, true), ("expires", Kind::Time, true)],
    },
];

impl Schema {
    /// In JSON Schema's words.
    pub(super) fn to_json(&self) -> Value {
        let properties: Map<String, Value> = self
            .fields
            .iter()
            .map(|(name, kind, _)| ((*name).to_owned(), kind.to_json()))
            .collect();
        let required: Vec<&str> =
            self.fields.iter().filter(|(_, _, always)| *always).map(|(name, ..)| *name).collect();
        json!({
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": false,
        })
    }
}

impl Kind {
    fn to_json(self) -> Value {
        match self {
            Self::Text => json!({ "type": "string" }),
            Self::Time => json!({ "type": "string", "format": "date-time" }),
            Self::Number => json!({ "type": "integer", "minimum": 0 }),
            Self::Flag => json!({ "type": "boolean" }),
            Self::OneOf(words) => json!({ "type": "string", "enum": words }),
            Self::TextOrNull => json!({ "type": ["string", "null"] }),
            Self::TimeOrNull => json!({ "type": ["string", "null"], "format": "date-time" }),
            Self::NumberOrNull => json!({ "type": ["integer", "null"], "minimum": 0 }),
            Self::List(name) => json!({ "type": "array", "items": reference(name) }),
            Self::Texts => json!({ "type": "array", "items": { "type": "string" } }),
            Self::OneOrNull(name) => json!({ "anyOf": [reference(name), { "type": "null" }] }),
            Self::InstanceKey => json!({ "type": ["integer", "string", "null"] }),
        }
    }
}

/// Points at a document of the description.
pub(super) fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}
