//! One overlay for the page: as it is where it is light, else smaller, so that six of them find room.

use std::io::Cursor;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use image::codecs::jpeg::JpegEncoder;
use image::imageops::FilterType;
use image::{DynamicImage, ImageFormat, ImageReader, Limits};

use crate::cli::show;
use crate::layout::{self, Limit};

/// Pixels across of an overlay that is made smaller: wider than it is shown at, so that zooming in still
/// brings something.
const WIDTH: u32 = 768;

/// Quality of JPEG, of 100. Edges between the tints stay sharp; below 80 they fray.
const QUALITY: u8 = 88;

/// Bytes of an overlay that is opened at all.
const MOST_BYTES: u64 = 256 << 20;

/// Pixels in either direction of an overlay that is opened at all, and the memory that may take.
const MOST_PIXELS: u32 = 16_384;
const MOST_MEMORY: u64 = 1 << 30;

/// An overlay.
#[derive(Debug)]
pub(super) struct Embedded {
    /// As a data URL.
    pub(super) url: String,
    /// Bytes of the image in it.
    pub(super) bytes: u64,
    /// Whether it was made smaller.
    pub(super) is_smaller: bool,
}

/// Reads the overlay of an image, which may have `most` bytes on the page.
///
/// # Errors
/// In words, when there is none, it is no PNG, or no smaller one finds room either.
pub(super) fn embedded(folder: &Path, file: &str, most: u64) -> Result<Embedded, String> {
    let is_plain = !file.is_empty() && !file.starts_with('.') && !file.contains(['/', '\\']);
    if !is_plain {
        return Err("no name of a file in the folder".to_owned());
    }
    let path = folder.join("overlay").join(file);
    let bytes = layout::read_named(&path, Limit::IMAGE.at_most(MOST_BYTES))
        .map_err(|error| format!("no overlay: {error}"))?;
    if !bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        return Err("the overlay is no PNG".to_owned());
    }
    if bytes.len() as u64 <= most {
        return Ok(Embedded::new("png", &bytes, false));
    }
    let small = smaller(&bytes).map_err(|error| format!("the overlay cannot be read: {error}"))?;
    match small.len() as u64 <= most {
        true => Ok(Embedded::new("jpeg", &small, true)),
        false => Err(format!("its overlay has more than the {} that are left", show::size(most))),
    }
}

impl Embedded {
    fn new(kind: &str, bytes: &[u8], is_smaller: bool) -> Self {
        let url = format!("data:image/{kind};base64,{}", STANDARD.encode(bytes));
        Self { url, bytes: bytes.len() as u64, is_smaller }
    }
}

/// A PNG as a JPEG that is at most [`WIDTH`] pixels wide.
fn smaller(png: &[u8]) -> image::ImageResult<Vec<u8>> {
    let mut reader = ImageReader::with_format(Cursor::new(png), ImageFormat::Png);
    let mut limits = Limits::default();
    limits.max_image_width = Some(MOST_PIXELS);
    limits.max_image_height = Some(MOST_PIXELS);
    limits.max_alloc = Some(MOST_MEMORY);
    reader.limits(limits);
    let image = reader.decode()?;
    let image = match image.width() > WIDTH {
        true => image.resize(WIDTH, MOST_PIXELS, FilterType::Triangle),
        false => image,
    };
    let mut jpeg = Vec::new();
    let image = DynamicImage::from(image.into_rgb8());
    image.write_with_encoder(JpegEncoder::new_with_quality(&mut jpeg, QUALITY))?;
    Ok(jpeg)
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{Rgb, RgbImage};

    /// A slice with noise, of which a part is tinted.
    fn overlay(width: u32, height: u32) -> Vec<u8> {
        let mut state = 1_u32;
        let image = RgbImage::from_fn(width, height, |x, _| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let [grey, ..] = (state >> 8).to_le_bytes();
            let grey = 64 + grey / 2;
            match x < width / 2 {
                true => {
                    Rgb([grey / 2, (grey / 2).saturating_add(57), (grey / 2).saturating_add(89)])
                }
                false => Rgb([grey; 3]),
            }
        });
        let mut png = Cursor::new(Vec::new());
        image.write_to(&mut png, ImageFormat::Png).expect("a PNG");
        png.into_inner()
    }

    fn folder(file: &str, bytes: &[u8]) -> tempfile::TempDir {
        let home = tempfile::tempdir().expect("folder");
        std::fs::create_dir(home.path().join("overlay")).expect("folder");
        layout::write_users_file(&home.path().join("overlay").join(file), bytes).expect("written");
        home
    }

    #[test]
    fn a_light_overlay_stays_as_it_is_and_a_heavy_one_becomes_smaller() {
        let png = overlay(1024, 768);
        assert!(png.len() > 1_000_000, "{}", png.len());
        let home = folder("a.png", &png);
        let whole = embedded(home.path(), "a.png", png.len() as u64).expect("an overlay");
        assert!(whole.url.starts_with("data:image/png") && !whole.is_smaller);
        let small = embedded(home.path(), "a.png", 1 << 20).expect("an overlay");
        assert!(small.is_smaller && small.bytes < 600_000, "{}", small.bytes);
        let jpeg = small.url.strip_prefix("data:image/jpeg;base64,").expect("a JPEG");
        let back = image::load_from_memory(&STANDARD.decode(jpeg).expect("base64"));
        let back = back.expect("an image").into_rgb8();
        assert_eq!(back.dimensions(), (768, 576));
        // Where it is tinted one sees it, on either side of the edge.
        let mean = |from: u32, to: u32, band: usize| {
            let pixels: Vec<f64> = (from..to)
                .flat_map(|x| (0..576).map(move |y| (x, y)))
                .map(|(x, y)| f64::from(back.get_pixel(x, y).0[band]))
                .collect();
            pixels.iter().sum::<f64>() / f64::from(u32::try_from(pixels.len()).expect("few"))
        };
        assert!(mean(376, 383, 2) - mean(376, 383, 0) > 60.0);
        assert!((mean(386, 393, 2) - mean(386, 393, 0)).abs() < 12.0);
        let why = embedded(home.path(), "a.png", 1000).expect_err("no room");
        assert!(why.contains("more than the 1.0 kB that are left"), "{why}");
    }

    #[test]
    fn what_is_no_image_is_told() {
        let mut broken = overlay(1024, 768);
        broken.truncate(5000);
        let home = folder("a.png", &broken);
        let why = embedded(home.path(), "a.png", 1000).expect_err("broken");
        assert!(why.starts_with("the overlay cannot be read"), "{why}");
        let home = folder("a.png", b"GIF89a");
        assert_eq!(
            embedded(home.path(), "a.png", 1000).expect_err("no PNG"),
            "the overlay is no PNG"
        );
    }

    #[test]
    fn no_name_leads_out_of_the_folder() {
        for name in ["../x.png", "/etc/passwd", "", ".hidden", "a/b.png"] {
            assert!(embedded(Path::new("/nowhere"), name, 100).is_err(), "{name}");
        }
    }
}
