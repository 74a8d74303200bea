//! Opening the database: settings of the connection, and bringing it to this version.

use std::borrow::Cow;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use nix::sys::statfs::{
    BTRFS_SUPER_MAGIC, EXT4_SUPER_MAGIC, F2FS_SUPER_MAGIC, FsType, OVERLAYFS_SUPER_MAGIC,
    TMPFS_MAGIC, XFS_SUPER_MAGIC, statfs,
};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, SqlSafeStr, SqliteConnection};

use super::{Store, StoreError};
use crate::layout::{self, Locked};

/// Every migration ever released; never edited, only added to.
const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "first", include_str!("../../migrations/0001_first.sql")),
    (2, "records", include_str!("../../migrations/0002_records.sql")),
    (3, "moved", include_str!("../../migrations/0003_moved.sql")),
    (4, "evidence", include_str!("../../migrations/0004_evidence.sql")),
    (5, "views", include_str!("../../migrations/0005_views.sql")),
    (6, "validated", include_str!("../../migrations/0006_validated.sql")),
    (7, "settled", include_str!("../../migrations/0007_settled.sql")),
];

/// How long a command waits for another one that writes.
const BUSY: Duration = Duration::from_secs(10);

/// Rows that may wait between the thread of SQLite and ours: fewer, and the two wait for each other.
const ROWS: usize = 1000;

/// How long it waits for another one that brings the database to this version.
const TO_MIGRATE: Duration = Duration::from_secs(30);

/// Bytes of a database that may have no tables yet: its first pages.
const YOUNG: u64 = 8192;

/// SQLite's name for a database without a file.
const MEMORY: &str = ":memory:";

/// What may be done with an opened database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Everything; the file is made and brought to this version.
    ReadWrite,
    /// Questions only; nothing is changed, nothing is collected.
    ReadOnly,
}

impl Store {
    /// Opens the database, makes it where there is none, and brings it to this version.
    ///
    /// Write-ahead logging needs memory shared between processes, which a network file system does
    /// not have (sqlite.org, "Write-Ahead Logging"): there a rollback journal is used.
    ///
    /// # Errors
    /// When it cannot be opened, or is of a newer version.
    pub async fn open(path: &Path, mode: Mode) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(mode == Mode::ReadWrite)
            .read_only(mode == Mode::ReadOnly)
            .foreign_keys(true)
            .busy_timeout(BUSY)
            .row_buffer_size(ROWS)
            .synchronous(SqliteSynchronous::Normal)
            .disable_statement_logging();
        let options = match mode {
            Mode::ReadWrite => options.journal_mode(journal_mode(path)),
            Mode::ReadOnly => options,
        };
        if mode == Mode::ReadWrite {
            // SQLite makes a file as the umask says, and its log as the file is.
            match layout::create_private_file(path) {
                Err(error) if error.kind() == ErrorKind::InvalidInput => {
                    return Err(StoreError::Read { path: path.to_owned(), source: error });
                }
                // What else is wrong with the folder SQLite will say.
                _ => {}
            }
        }
        // Two that make it at once would be in each other's way when they set its journal.
        let is_young = std::fs::metadata(path).is_ok_and(|about| about.len() <= YOUNG);
        let lock = match mode == Mode::ReadWrite && is_young {
            true => layout::lock(&path.with_extension("db.lock"), TO_MIGRATE).ok(),
            false => None,
        };
        match Self::connect(options.clone(), path, mode, lock).await {
            // Beside a log that may not be touched it can only be read as it lies there.
            Err(StoreError::Open { .. }) if mode == Mode::ReadOnly => {
                Self::connect(options.immutable(true), path, mode, None).await
            }
            other => other,
        }
    }

    /// Opens the database as it lies there, for an answer that is wanted at once: nothing is waited for, and
    /// nothing is made or changed, not even the files beside it. What another process is about to write is not
    /// seen; its log is, where the memory that is shared for it lies there, too.
    ///
    /// # Errors
    /// When there is none, it cannot be read, or is of another version.
    pub async fn open_still(path: &Path) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(false)
            .read_only(true)
            .immutable(!has_log(path))
            .busy_timeout(Duration::ZERO)
            .disable_statement_logging();
        Self::connect(options, path, Mode::ReadOnly, None).await
    }

    /// Opens a database that lives in memory and dies with the value.
    ///
    /// # Errors
    /// When SQLite cannot do it.
    pub async fn in_memory() -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new().in_memory(true).foreign_keys(true);
        let store = Self::connect(options, Path::new(MEMORY), Mode::ReadWrite, None).await?;
        Ok(Self { in_memory: true, ..store })
    }

    /// Says whether it lives in memory.
    #[must_use]
    pub fn is_in_memory(&self) -> bool {
        self.in_memory
    }

    /// Returns what may be done.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Returns the connection, for read-only questions of people.
    pub fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }

    async fn connect(
        options: SqliteConnectOptions,
        path: &Path,
        mode: Mode,
        lock: Option<Locked>,
    ) -> Result<Self, StoreError> {
        let failed = |source| StoreError::Open { path: path.to_owned(), source };
        let mut connection = options.connect().await.map_err(failed)?;
        let found = version(&mut connection).await.map_err(failed)?;
        let known = MIGRATIONS.iter().map(|(number, ..)| *number).max().unwrap_or(0);
        if found > known {
            return Err(StoreError::Newer { path: path.to_owned(), found, known });
        }
        if found < known {
            if mode == Mode::ReadOnly {
                return Err(StoreError::Older { path: path.to_owned(), found, known });
            }
            // SQLite has no lock for this: of two that begin at once one waits, and finds it done.
            let _lock = match lock.is_some() || path == Path::new(MEMORY) {
                true => lock,
                false => Some(layout::lock(&path.with_extension("db.lock"), TO_MIGRATE)?),
            };
            if version(&mut connection).await.map_err(failed)? < known {
                migrate(&mut connection)
                    .await
                    .map_err(|source| StoreError::Migrate { path: path.to_owned(), source })?;
            }
        }
        Ok(Self { connection, mode, in_memory: false })
    }
}

/// The newest migration that was applied; 0 for an empty database.
async fn version(connection: &mut SqliteConnection) -> sqlx::Result<i64> {
    let known: i64 = sqlx::query_scalar(
        "select count(*) from sqlite_schema where type = 'table' and name = '_sqlx_migrations'",
    )
    .fetch_one(&mut *connection)
    .await?;
    if known == 0 {
        return Ok(0);
    }
    sqlx::query_scalar("select coalesce(max(version), 0) from _sqlx_migrations")
        .fetch_one(connection)
        .await
}

async fn migrate(connection: &mut SqliteConnection) -> Result<(), sqlx::migrate::MigrateError> {
    let migrations = MIGRATIONS
        .iter()
        .map(|(number, name, sql)| {
            let name = Cow::Borrowed(*name);
            Migration::new(*number, name, MigrationType::Simple, sql.into_sql_str(), false)
        })
        .collect();
    Migrator::with_migrations(migrations).run(connection).await
}

/// Says whether a log lies beside the database that can be read without making anything.
fn has_log(path: &Path) -> bool {
    ["-wal", "-shm"].iter().all(|end| {
        let mut beside = path.as_os_str().to_owned();
        beside.push(end);
        Path::new(&beside).is_file()
    })
}

fn journal_mode(path: &Path) -> SqliteJournalMode {
    if is_local(path) { SqliteJournalMode::Wal } else { SqliteJournalMode::Truncate }
}

/// Says whether the folder is surely on a file system of this machine.
fn is_local(path: &Path) -> bool {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    statfs(folder).is_ok_and(|found| is_of_one_machine(found.filesystem_type()))
}

/// File systems that one machine alone sees; what we do not know (NFS, Lustre, GPFS, FUSE, …) counts
/// as shared. An overlay's upper layer, which is written, cannot be on NFS.
fn is_of_one_machine(kind: FsType) -> bool {
    [
        EXT4_SUPER_MAGIC, // also ext2 and ext3
        XFS_SUPER_MAGIC,
        BTRFS_SUPER_MAGIC,
        F2FS_SUPER_MAGIC,
        TMPFS_MAGIC,
        OVERLAYFS_SUPER_MAGIC,
    ]
    .contains(&kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_one_machine_sees_is_local() {
        // statfs(2), linux/magic.h, and the sources of those that are not in the kernel.
        let kinds: [(&str, u32, bool); 22] = [
            ("ext4", 0xEF53, true),
            ("xfs", 0x5846_5342, true),
            ("btrfs", 0x9123_683E, true),
            ("f2fs", 0xF2F5_2010, true),
            ("tmpfs", 0x0102_1994, true),
            ("overlay", 0x794C_7630, true),
            ("nfs", 0x6969, false),
            ("smb", 0x517B, false),
            ("cifs", 0xFF53_4D42, false),
            ("smb2", 0xFE53_4D42, false),
            ("lustre", 0x0BD0_0BD0, false),
            ("gpfs", 0x4750_4653, false),
            ("beegfs", 0x1983_0326, false),
            ("ceph", 0x00C3_6400, false),
            ("fuse", 0x6573_5546, false),
            ("afs", 0x5346_414F, false),
            ("panfs", 0xAAD7_AAEA, false),
            ("gfs2", 0x0116_1970, false),
            ("ocfs2", 0x7461_636F, false),
            ("9p", 0x0102_1997, false),
            ("orangefs", 0x2003_0528, false),
            ("vboxsf", 0x786F_4256, false),
        ];
        for (name, magic, local) in kinds {
            let kind = FsType(i64::from(magic));
            assert_eq!(is_of_one_machine(kind), local, "{name}");
        }
    }

    #[test]
    fn folders_of_the_kernel_are_not_local_disks() {
        assert!(!is_local(Path::new("/proc/regatta.db")));
        assert!(!is_local(Path::new("/no/such/folder/regatta.db")));
    }
}
