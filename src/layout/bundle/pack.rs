//! Packing: the sizes and checksums first, then exactly these bytes.

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};

use super::super::{open_plain, write_atomic_with};
use super::{BundleError, BundleManifest, BundledFile, MANIFEST};
use crate::id::hex;

/// Bytes read at a time.
const PIECE: usize = 256 * 1024;

/// Where the bytes of a bundled file are.
#[derive(Debug)]
pub enum Source {
    /// In a file that stays, or only grows.
    At(PathBuf),
    /// In one that may be removed at any moment, and is held.
    Held(PathBuf, File),
}

impl Source {
    fn path(&self) -> &Path {
        let (Self::At(path) | Self::Held(path, _)) = self;
        path
    }
}

/// Returns size and checksum of a plain file; nothing where there is none.
///
/// # Errors
/// When it cannot be read.
pub fn hash_plain(path: &Path) -> io::Result<Option<(u64, String, File)>> {
    hash(path, |digest, piece| digest.update(piece))
}

/// The same for a journal that may be written at this moment: up to the end of its last whole line.
///
/// # Errors
/// When it cannot be read.
pub fn hash_lines(path: &Path) -> io::Result<Option<(u64, String)>> {
    let Some((file, size)) = open_plain(path)? else { return Ok(None) };
    let (mut digest, mut begun) = (Sha256::new(), Sha256::new());
    let (mut length, mut read) = (0, 0);
    each_piece(&mut file.take(size), |piece| {
        let end = piece.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        if end > 0 {
            begun.update(&piece[..end]);
            digest = begun.clone();
            length = read + end as u64;
        }
        begun.update(&piece[end..]);
        read += piece.len() as u64;
    })?;
    Ok(Some((length, hex(&digest.finalize()))))
}

fn hash(path: &Path, take: impl Fn(&mut Sha256, &[u8])) -> io::Result<Option<(u64, String, File)>> {
    let Some((mut file, _)) = open_plain(path)? else { return Ok(None) };
    let (mut digest, mut size) = (Sha256::new(), 0);
    each_piece(&mut file, |piece| {
        take(&mut digest, piece);
        size += piece.len() as u64;
    })?;
    Ok(Some((size, hex(&digest.finalize()), file)))
}

fn each_piece(source: &mut impl Read, mut take: impl FnMut(&[u8])) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    loop {
        match source.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(length) => take(&piece[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Writes a bundle, which appears under its name when it is complete. `progress` hears of the bytes
/// that were written.
///
/// # Errors
/// When a file cannot be read or is no longer as the manifest tells, or the bundle cannot be written.
pub fn pack(
    out: &Path,
    manifest: &BundleManifest,
    sources: &mut [Source],
    progress: &mut dyn FnMut(u64),
) -> Result<u64, BundleError> {
    let mut refused = None;
    let written = write_atomic_with(out, |file| {
        let mut archive = Builder::new(BufWriter::with_capacity(PIECE, file));
        let text = serde_json::to_vec(manifest)?;
        archive.append(&header(MANIFEST, text.len() as u64)?, text.as_slice())?;
        for (file, source) in manifest.files.iter().zip(sources.iter_mut()) {
            let mut told = |bytes| progress(bytes);
            if let Err(error) = add(&mut archive, file, source, &mut told) {
                let path = source.path().to_owned();
                refused = Some(BundleError::Io { doing: "pack", path, source: error });
                return Err(io::ErrorKind::Other.into());
            }
        }
        archive.into_inner()?.flush()
    });
    match (written, refused) {
        (Ok(size), _) => Ok(size),
        (Err(_), Some(refused)) => Err(refused),
        (Err(source), None) => {
            Err(BundleError::Io { doing: "write", path: out.to_owned(), source })
        }
    }
}

fn add(
    archive: &mut Builder<impl Write>,
    file: &BundledFile,
    source: &mut Source,
    progress: &mut dyn FnMut(u64),
) -> io::Result<()> {
    let gone = || io::Error::other("it is gone: the sweep went on meanwhile, try again");
    let opened;
    let reader: &File = match source {
        Source::Held(_, held) => {
            held.rewind()?;
            held
        }
        Source::At(path) => {
            opened = open_plain(path)?.ok_or_else(gone)?.0;
            &opened
        }
    };
    let mut counted =
        Counted { inner: reader.take(file.size), digest: Sha256::new(), read: 0, progress };
    let header = header(&file.path, file.size)?;
    // A shorter one would shift all that follows.
    archive.append(&header, &mut counted)?;
    let Counted { digest, read, .. } = counted;
    if read != file.size || hex(&digest.finalize()) != file.sha256 {
        return Err(io::Error::other("it was changed meanwhile, try again"));
    }
    Ok(())
}

/// The same header for the same file, whoever packs it and when.
fn header(path: &str, size: u64) -> io::Result<Header> {
    let mut header = Header::new_gnu();
    header.set_path(path)?;
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o600);
    header.set_size(size);
    header.set_mtime(0);
    header.set_cksum();
    Ok(header)
}

struct Counted<'a, R> {
    inner: R,
    digest: Sha256,
    read: u64,
    progress: &'a mut dyn FnMut(u64),
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.digest.update(&buffer[..length]);
        self.read += length as u64;
        (self.progress)(length as u64);
        Ok(length)
    }
}
