//! TIFF files: the number of their pages, and the pixels of one.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use tiff::ColorType;
use tiff::decoder::{Decoder, DecodingResult};
use tiff::tags::Tag;

use super::{Picture, Samples};
use crate::train::data::unreadable;
use crate::worker::learner::LearnerError;

fn open(path: &Path) -> Result<Decoder<BufReader<File>>, LearnerError> {
    let file = File::open(path).map_err(|error| unreadable(path, &error))?;
    Decoder::new(BufReader::new(file)).map_err(|error| unreadable(path, &error))
}

/// Counts the pages of a file.
pub(super) fn pages(path: &Path) -> Result<usize, LearnerError> {
    let mut decoder = open(path)?;
    let told = told_pages(&mut decoder);
    let mut pages = 1;
    while decoder.more_images() {
        decoder.next_image().map_err(|error| unreadable(path, &error))?;
        pages += 1;
    }
    // ImageJ writes large stacks with one page, the others' pixels behind it where no reader looks.
    if let Some(told) = told.filter(|told| *told > pages) {
        return Err(LearnerError::Data {
            path: path.to_owned(),
            what: format!("ImageJ says that it holds {told} images, and {pages} can be read"),
            hint: Some("save the stack as an image sequence, one file a slice".to_owned()),
        });
    }
    Ok(pages)
}

/// The number of images that ImageJ's description tells (`images=12`), if it wrote the file.
fn told_pages(decoder: &mut Decoder<BufReader<File>>) -> Option<usize> {
    let text = decoder.get_tag_ascii_string(Tag::ImageDescription).ok()?;
    let lines = text.strip_prefix("ImageJ=")?.lines();
    lines.filter_map(|line| line.strip_prefix("images=")).find_map(|number| number.parse().ok())
}

/// Decodes a page.
pub(super) fn read(path: &Path, page: usize) -> Result<Picture, LearnerError> {
    let wrong = |error: tiff::TiffError| match error {
        tiff::TiffError::UnsupportedError(what) => unsupported(path, page, &what.to_string()),
        other => unreadable(path, &other),
    };
    let mut decoder = open(path)?;
    decoder.seek_to_image(page).map_err(wrong)?;
    let (width, height) = decoder.dimensions().map_err(wrong)?;
    let (width, height) = (width as usize, height as usize);
    let pixels = width * height;
    let color = decoder.colortype().map_err(wrong)?;
    let (kept, there) = match color {
        ColorType::Gray(1 | 8 | 16) => (1, 1),
        ColorType::RGB(8 | 16) => (3, 3),
        ColorType::RGBA(8 | 16) => (3, 4),
        other => return Err(unsupported(path, page, &format!("{other:?}"))),
    };
    let samples = match (color, decoder.read_image().map_err(wrong)?) {
        (ColorType::Gray(1), DecodingResult::U8(packed)) => {
            Samples::Byte(bits(&packed, width, height))
        }
        (_, DecodingResult::U8(values)) if values.len() == pixels * there => {
            Samples::Byte(keep(values, there, kept))
        }
        (_, DecodingResult::U16(values)) if values.len() == pixels * there => {
            Samples::Word(keep(values, there, kept))
        }
        (_, DecodingResult::U8(_) | DecodingResult::U16(_)) => {
            return Err(unsupported(path, page, "colours in planes of their own"));
        }
        _ => return Err(unsupported(path, page, "numbers that are not 8- or 16-bit")),
    };
    Ok(Picture { height, width, planes: kept, samples, contrast: None })
}

fn unsupported(path: &Path, page: usize, found: &str) -> LearnerError {
    LearnerError::Data {
        path: path.to_owned(),
        what: format!("page {page} holds {found}"),
        hint: Some("save it as 8- or 16-bit grey or RGB".to_owned()),
    }
}

/// Turns rows of bits, each row in whole bytes, into 0 and 255.
fn bits(packed: &[u8], width: usize, height: usize) -> Vec<u8> {
    let bit = |row: &[u8], x: usize| {
        let byte = row.get(x / 8).copied().unwrap_or_default();
        if byte & (0x80 >> (x % 8)) == 0 { 0 } else { 255 }
    };
    let rows = packed.chunks(width.div_ceil(8).max(1)).take(height);
    rows.flat_map(|row| (0..width).map(move |x| bit(row, x))).collect()
}

/// Drops what a pixel has beyond its first `kept` values (transparency).
fn keep<T: Copy>(values: Vec<T>, there: usize, kept: usize) -> Vec<T> {
    if there == kept {
        return values;
    }
    values.chunks_exact(there).flat_map(|pixel| &pixel[..kept]).copied().collect()
}
