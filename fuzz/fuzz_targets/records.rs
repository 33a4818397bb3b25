//! Any bytes as any record: decoding never panics, and what was decoded is encoded to a row that decodes the
//! same: to the very same bytes, where a row can be written in one way only.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidelock_meta::record::{
    access_key, audit_chain, audit_entry, audit_segment, blob, bucket, bucket_document, contended,
    dead_letter, group, guard, head, lease, lifecycle, part, reclaim, refused, role, root, session,
    state, store, upload, user, version, webhook,
};

// An old layout is read and written as the new one. Where not even the new one is exact, versions are in it: what
// has no controls needs no room for them.
macro_rules! rows {
    ($tag:ident $value:ident: $($number:literal $row:ty, $is_exact:literal;)*) => {
        match $tag {
            $($number => {
                let Ok(row) = <$row>::decode($value) else { return };
                let encoded = row.encode();
                assert_eq!(<$row>::decode(&encoded).as_ref(), Ok(&row));
                let is_same = encoded == $value || encoded.first() != $value.first();
                assert!(!$is_exact || is_same, "{row:?}");
            })*
            _ => {}
        }
    };
}

// A key that is read is the key of what was read.
macro_rules! keys {
    ($key:ident: $($record:ident $name:pat => $made:expr;)*) => {
        $(if let Ok($name) = $record::decode_key($key) {
            assert_eq!($made, $key);
        })*
    };
}

// The first byte is that of the record's key, or one that no record has for what is kept in others; the rest is
// the value. The whole is read as a key, too.
fuzz_target!(|input: &[u8]| {
    keys!(input:
        access_key id => access_key::key(&id);
        audit_segment number => audit_segment::key(number);
        blob id => blob::key(id);
        bucket name => bucket::key(&name);
        dead_letter (webhook, segment, index) => dead_letter::key(webhook, segment, index);
        group name => group::key(&name);
        lease name => lease::key(&name);
        refused (bucket, key, id) => refused::key(bucket, &key, id);
        role name => role::key(&name);
        upload (bucket, key, id) => upload::key(bucket, &key, id);
        user name => user::key(&name);
        webhook id => webhook::key(id);
    );
    let _ = guard::decode_key(input);
    let _ = head::decode_key(input);
    let _ = part::decode_key(input);
    let _ = reclaim::decode_key(input);
    let _ = version::decode_key(input);
    let Some((&tag, value)) = input.split_first() else { return };
    if let (0x12, Ok(entries)) = (tag, audit_entry::decode_entries(value)) {
        let encoded: Vec<u8> = entries.iter().flat_map(audit_entry::AuditEntry::encode).collect();
        assert_eq!(audit_entry::decode_entries(&encoded), Ok(entries));
    }
    if let (0x17, Ok(content)) = (tag, bucket_document::decode(value)) {
        assert_eq!(bucket_document::encode(&content), value);
    }
    rows!(tag value:
        0x01 bucket::BucketRow, true;
        0x02 head::HeadRow, false;
        0x03 version::ObjectVersion, false;
        0x05 upload::UploadRow, true;
        0x06 part::PartRow, true;
        0x07 reclaim::ReclaimRow, true;
        0x08 user::UserRow, true;
        0x09 access_key::AccessKeyRow, true;
        0x0A store::StoreRow, true;
        0x0B root::RootRow, true;
        0x0C lease::LeaseRow, true;
        0x0D blob::BlobRow, true;
        0x0F guard::GuardRow, false;
        0x10 refused::RefusedRow, true;
        0x11 contended::ContendedRow, true;
        0x13 audit_segment::AuditSegmentRow, true;
        0x14 audit_chain::AuditChainRow, true;
        0x15 webhook::WebhookRow, true;
        0x16 dead_letter::DeadLetterRow, true;
        0x18 role::RoleRow, true;
        0x19 group::GroupRow, true;
        0xF0 session::SessionFacts, true;
        0xF1 state::StateFacts, true;
        0xF2 lifecycle::Lifecycle, true;
    );
});
