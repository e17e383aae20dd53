//! What Unix has: the names of `std::os::unix`.

pub mod net;

/// What file systems of a Unix have more: `std::os::unix::fs`. Calls are made as those of [`fs`](crate::fs) are.
pub mod fs {
    pub use crate::fs::unix::{chown, fchown, lchown, symlink};
    pub use std::os::unix::fs::{
        DirBuilderExt, DirEntryExt, FileExt, FileTypeExt, MetadataExt, OpenOptionsExt,
        PermissionsExt, chroot,
    };
}

/// What processes of a Unix have more: `std::os::unix::process`.
///
/// # Differences from std
/// [`CommandExt`](process::CommandExt) is for [`Command`](crate::process::Command), and has no `pre_exec`, which is
/// unsafe: set it on [`as_std_mut`](crate::process::Command::as_std_mut).
pub mod process {
    pub use crate::process::CommandExt;
    pub use std::os::unix::process::{ExitStatusExt, parent_id};
}
