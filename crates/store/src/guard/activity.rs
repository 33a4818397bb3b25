//! The end of a run, as far as it shows: a run that was refused reads its lock to give it back, and is
//! then over. Until that is seen, runs that look like it are not trusted.

use tidelock_meta::record::bucket;
use tidelock_meta::record::guard;
use tidelock_meta::{Batch, OpId};

use super::run::Asker;
use super::{OpenGuard, state_key};
use crate::Store;
use crate::bucket::OpenBucket;
use crate::commit::Plan;
use crate::error::BucketError;
use crate::object::Target;

impl Store {
    /// Somebody read, or looked for, the lock at `target`.
    ///
    /// # Errors
    ///
    /// When the store fails; what was read is right all the same.
    pub(crate) async fn lock_was_read(
        &self,
        target: Target<'_>,
        open: &OpenBucket,
    ) -> Result<(), BucketError> {
        let (Some(_), Some(state)) = (&open.row.guard, state_key(target.key)) else {
            return Ok(());
        };
        let id = open.row.id;
        let asker = Asker::of(target.principal);
        let key = guard::key(id, state.as_str());
        let look = key.clone();
        let seen = self.rows.look(|reading| async move { reading.row(look).await }).await?;
        let guard = OpenGuard::of(&state, key.clone(), seen.as_ref())?;
        if !asker.is_known_to_live(&guard.row) {
            return Ok(());
        }
        let keys = [bucket::key(target.bucket.as_str()), key];
        let op_id = OpId(self.random());
        self.update(&keys, |view| {
            OpenBucket::again(id, target.bucket, view.rows[0].as_ref(), target.principal)?;
            let guard = OpenGuard::of(&state, keys[1].clone(), view.rows[1].as_ref())?;
            let mut row = guard.row.clone();
            asker.ends(&mut row);
            if row == guard.row {
                return Ok(Plan::Answer(()));
            }
            let mut batch = Batch::new(op_id);
            guard.replace(&mut batch, &row);
            Ok::<_, BucketError>(Plan::Commit(batch, ()))
        })
        .await
    }
}
