//! An image with what was found drawn over it: a tint, and an outline one pixel wide.
//!
//! The colours are of Okabe and Ito's palette (2008), which people with any kind of colour vision tell
//! apart: blue for what is found (rightly, where the truth is known), orange for what is found and is
//! not there, reddish purple for what is there and was missed.

use crate::train::data::{Picture, Region};

/// Blue, orange, reddish purple.
const COLOURS: [[u8; 3]; 3] = [[0, 114, 178], [230, 159, 0], [204, 121, 167]];
/// How much of the colour a tint has.
const TINT: f32 = 0.35;

/// What a pixel is; the numbers are those of [`COLOURS`].
const FOUND: u8 = 0;
const FALSE: u8 = 1;
const MISSED: u8 = 2;
const NOTHING: u8 = 3;

/// Draws `[height, width, 3]` bytes, row by row, over a region of a picture. `found` and `truth` are 0 or 1
/// for each pixel of the region.
pub(super) fn draw(
    picture: &Picture,
    region: Region,
    found: &[u8],
    truth: Option<&[u8]>,
) -> Vec<u8> {
    let kinds: Vec<u8> = found
        .iter()
        .enumerate()
        .map(|(at, found)| match (*found, truth.map(|truth| truth[at])) {
            (1, None | Some(1)) => FOUND,
            (1, Some(_)) => FALSE,
            (_, Some(1)) => MISSED,
            _ => NOTHING,
        })
        .collect();
    let (low, high) = range(picture, region);
    let mut bytes = Vec::with_capacity(3 * kinds.len());
    for (at, kind) in kinds.iter().enumerate() {
        let (y, x) = (at / region.width, at % region.width);
        let colour = COLOURS.get(usize::from(*kind));
        let is_edge = colour.is_some() && is_edge(&kinds, y, x, region);
        for plane in 0..3 {
            let value = picture.value(region.top + y, region.left + x, plane, 3);
            let grey = 255.0 * ((value - low) / (high - low)).clamp(0.0, 1.0);
            bytes.push(match colour {
                None => byte(grey),
                Some(colour) if is_edge => colour[plane],
                Some(colour) => byte((1.0 - TINT) * grey + TINT * f32::from(colour[plane])),
            });
        }
    }
    bytes
}

/// Whether a neighbour in the row or column is of another kind.
fn is_edge(kinds: &[u8], y: usize, x: usize, region: Region) -> bool {
    let kind = kinds[y * region.width + x];
    let differs = |y: usize, x: usize| kinds[y * region.width + x] != kind;
    (y > 0 && differs(y - 1, x))
        || (x > 0 && differs(y, x - 1))
        || (y + 1 < region.height && differs(y + 1, x))
        || (x + 1 < region.width && differs(y, x + 1))
}

/// What is shown as black and as white: all of `[0, 1]`; for 16-bit files, which often use a small part of
/// it, the part that is used.
fn range(picture: &Picture, region: Region) -> (f32, f32) {
    if !picture.is_wide() {
        return (0.0, 1.0);
    }
    let (mut low, mut high) = (f32::INFINITY, f32::NEG_INFINITY);
    for y in region.top..region.top + region.height {
        for x in region.left..region.left + region.width {
            let value = picture.value(y, x, 0, 1);
            (low, high) = (low.min(value), high.max(value));
        }
    }
    if high > low { (low, high) } else { (0.0, 1.0) }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a byte's range")]
fn byte(value: f32) -> u8 {
    value.round() as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_colours_and_nothing_keeps_its_grey() {
        let picture = Picture::of_bytes(1, 5, 1, vec![100; 5]);
        let region = Region::whole(0, &picture);
        let (found, truth) = ([1, 1, 0, 0, 0], [1, 0, 1, 0, 0]);
        let bytes = draw(&picture, region, &found, Some(&truth));
        let pixels: Vec<&[u8]> = bytes.chunks(3).collect();
        let [blue, orange, purple] = &COLOURS;
        assert_eq!(pixels, [&blue[..], &orange[..], &purple[..], &[100; 3], &[100; 3]]);
        let bytes = draw(&picture, region, &[1; 5], None);
        assert_eq!(bytes[..3], [65, 105, 127], "tinted, without an edge");
    }
}
