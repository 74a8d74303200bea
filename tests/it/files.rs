//! Every kind of image file that is read, pixel by pixel, and every kind that is refused.

mod raw;

use std::path::Path;

use image::{GrayAlphaImage, GrayImage, ImageBuffer, Luma, LumaA, Rgb, RgbImage, RgbaImage};
use raw::{Order, Photometric, Place, Png, Tiff};
use regatta::setting::{Data, Settings, resolve};
use regatta::train::data::{self, DataSet, Picture, Source};
use regatta::worker::learner::LearnerError;
use serde_json::json;
use tempfile::TempDir;
use tiff::encoder::{Compression, DeflateLevel, TiffEncoder, colortype};

const WIDTH: u32 = 21;
const HEIGHT: u32 = 19;

/// A value for each pixel and plane, no two rows or columns or planes alike.
fn scene(y: u32, x: u32, plane: u32) -> u8 {
    u8::try_from((7 * y + 3 * x + 50 * plane) % 251).expect("below 251")
}

fn grey() -> Vec<u8> {
    (0..HEIGHT).flat_map(|y| (0..WIDTH).map(move |x| scene(y, x, 0))).collect()
}

fn colour() -> Vec<u8> {
    let places = (0..HEIGHT).flat_map(|y| (0..WIDTH).map(move |x| (y, x)));
    places.flat_map(|(y, x)| [0, 1, 2].map(|plane| scene(y, x, plane))).collect()
}

fn wide(values: &[u8]) -> Vec<u16> {
    values.iter().map(|value| 257 * u16::from(*value) - u16::from(*value > 0)).collect()
}

fn read(path: &Path, page: usize) -> Result<Picture, LearnerError> {
    Source { path: path.to_owned(), page }.read_picture()
}

/// Compares a file with the scene; `planes` is 1 or 3.
fn assert_scene(what: &str, path: &Path, planes: usize) {
    let picture = read(path, 0).unwrap_or_else(|error| panic!("{what}: {error}"));
    let size = (picture.width, picture.height, picture.planes);
    assert_eq!(size, (WIDTH as usize, HEIGHT as usize, planes), "{what}");
    for (y, x) in (0..HEIGHT).flat_map(|y| (0..WIDTH).map(move |x| (y, x))) {
        for plane in 0..planes {
            let found = picture.value(y as usize, x as usize, plane, planes);
            let wanted = f32::from(scene(y, x, u32::try_from(plane).expect("small"))) / 255.0;
            assert!((found - wanted).abs() < 2e-5, "{what} at {y}, {x}: {found}, not {wanted}");
        }
    }
}

#[test]
fn every_kind_of_png_is_read() {
    let folder = TempDir::new().expect("folder");
    let at = |name: &str| folder.path().join(format!("{name}.png"));
    let (grey, colour) = (grey(), colour());
    GrayImage::from_raw(WIDTH, HEIGHT, grey.clone())
        .expect("size")
        .save(at("grey"))
        .expect("saved");
    assert_scene("grey of 8 bits", &at("grey"), 1);
    ImageBuffer::<Luma<u16>, _>::from_raw(WIDTH, HEIGHT, wide(&grey))
        .expect("size")
        .save(at("grey16"))
        .expect("saved");
    assert_scene("grey of 16 bits", &at("grey16"), 1);
    RgbImage::from_raw(WIDTH, HEIGHT, colour.clone())
        .expect("size")
        .save(at("rgb"))
        .expect("saved");
    assert_scene("colour of 8 bits", &at("rgb"), 3);
    ImageBuffer::<Rgb<u16>, _>::from_raw(WIDTH, HEIGHT, wide(&colour))
        .expect("size")
        .save(at("rgb16"))
        .expect("saved");
    assert_scene("colour of 16 bits", &at("rgb16"), 3);
    GrayAlphaImage::from_fn(WIDTH, HEIGHT, |x, y| LumaA([scene(y, x, 0), 9]))
        .save(at("alpha"))
        .expect("saved");
    assert_scene("grey with transparency", &at("alpha"), 1);
    RgbaImage::from_fn(WIDTH, HEIGHT, |x, y| {
        image::Rgba([scene(y, x, 0), scene(y, x, 1), scene(y, x, 2), 9])
    })
    .save(at("rgba"))
    .expect("saved");
    assert_scene("colour with transparency", &at("rgba"), 3);
    // A palette in which colour c stands at place 255 - c.
    let palette = (0..=255_u8)
        .rev()
        .map(|value| {
            [0, 50, 100].map(|more| u8::try_from((u32::from(value) + more) % 251).expect("small"))
        })
        .collect();
    let places = grey.iter().map(|value| 255 - value).collect();
    let png = Png { width: WIDTH, height: HEIGHT, bits: 8, palette, rows: places };
    std::fs::write(at("palette"), png.bytes()).expect("written");
    assert_scene("a palette", &at("palette"), 3);
}

type Encoder<'a> = TiffEncoder<&'a mut std::io::Cursor<Vec<u8>>>;

#[test]
fn every_kind_of_tiff_is_read() {
    let folder = TempDir::new().expect("folder");
    let path = folder.path().join("image.tif");
    let (grey, colour) = (grey(), colour());
    for (name, compression) in [
        ("not compressed", Compression::Uncompressed),
        ("LZW", Compression::Lzw),
        ("deflate", Compression::Deflate(DeflateLevel::Balanced)),
        ("PackBits", Compression::Packbits),
    ] {
        let encode = |write: &dyn Fn(&mut Encoder<'_>)| {
            let mut bytes = std::io::Cursor::new(Vec::new());
            let encoder = TiffEncoder::new(&mut bytes).expect("encoder");
            write(&mut encoder.with_compression(compression));
            std::fs::write(&path, bytes.get_ref()).expect("written");
        };
        encode(&|tiff| {
            tiff.write_image::<colortype::Gray8>(WIDTH, HEIGHT, &grey).expect("page");
        });
        assert_scene(&format!("grey, {name}"), &path, 1);
        encode(&|tiff| {
            tiff.write_image::<colortype::Gray16>(WIDTH, HEIGHT, &wide(&grey)).expect("page");
        });
        assert_scene(&format!("grey of 16 bits, {name}"), &path, 1);
        encode(&|tiff| {
            tiff.write_image::<colortype::RGB8>(WIDTH, HEIGHT, &colour).expect("page");
        });
        assert_scene(&format!("colour, {name}"), &path, 3);
        encode(&|tiff| {
            tiff.write_image::<colortype::RGB16>(WIDTH, HEIGHT, &wide(&colour)).expect("page");
        });
        assert_scene(&format!("colour of 16 bits, {name}"), &path, 3);
    }
    let inverted: Vec<u8> = grey.iter().map(|value| 255 - value).collect();
    for order in [Order::Little, Order::Big] {
        for place in [Place::Strips, Place::Tiles] {
            let all = [
                ("grey", 8, 1, Photometric::BlackIsZero, &grey),
                ("white is zero", 8, 1, Photometric::WhiteIsZero, &inverted),
                ("grey of 16 bits", 16, 1, Photometric::BlackIsZero, &grey),
                ("colour", 8, 3, Photometric::Rgb, &colour),
                ("colour of 16 bits", 16, 3, Photometric::Rgb, &colour),
            ];
            for (what, bits, planes, photometric, values) in all {
                let tiff =
                    Tiff { width: WIDTH, height: HEIGHT, bits, planes, photometric, order, place };
                std::fs::write(&path, tiff.bytes(&[values])).expect("written");
                assert_scene(&format!("{what}, {order:?}, {place:?}"), &path, planes.into());
            }
        }
    }
}

#[test]
fn pages_of_any_kind_keep_their_order() {
    let folder = TempDir::new().expect("folder");
    let path = folder.path().join("stack.TIF");
    for order in [Order::Little, Order::Big] {
        let (bits, planes, photometric) = (8, 1, Photometric::BlackIsZero);
        let place = Place::Tiles;
        let tiff = Tiff { width: WIDTH, height: HEIGHT, bits, planes, photometric, order, place };
        let pages: Vec<Vec<u8>> = (0..5).map(|page| vec![40 * page; grey().len()]).collect();
        let pages: Vec<&Vec<u8>> = pages.iter().collect();
        std::fs::write(&path, tiff.bytes(&pages)).expect("written");
        for page in 0..5_u8 {
            let picture = read(&path, page.into()).expect("page");
            assert_eq!(picture.value(3, 3, 0, 1), f32::from(40 * page) / 255.0);
        }
    }
}

#[test]
fn one_bit_is_black_or_white() {
    let folder = TempDir::new().expect("folder");
    let is_white = |y: u32, x: u32| (y + 2 * x).is_multiple_of(3);
    let row = |y: u32| {
        let byte = move |first: u32| {
            let bits = (first..WIDTH.min(first + 8)).filter(|x| is_white(y, *x));
            bits.fold(0_u8, |byte, x| byte | 0x80 >> (x - first))
        };
        (0..WIDTH).step_by(8).map(byte).collect::<Vec<u8>>()
    };
    let rows: Vec<u8> = (0..HEIGHT).flat_map(row).collect();
    let png = folder.path().join("mask.png");
    let file =
        Png { width: WIDTH, height: HEIGHT, bits: 1, palette: Vec::new(), rows: rows.clone() };
    std::fs::write(&png, file.bytes()).expect("written");
    let tif = folder.path().join("mask.tif");
    let (planes, order, place) = (1, Order::Little, Place::Strips);
    let tiff = |photometric| Tiff {
        width: WIDTH,
        height: HEIGHT,
        bits: 1,
        planes,
        photometric,
        order,
        place,
    };
    std::fs::write(&tif, tiff(Photometric::BlackIsZero).bytes(&[&rows])).expect("written");
    let fax = folder.path().join("fax.tif");
    let inverted: Vec<u8> = rows.iter().map(|byte| !byte).collect();
    std::fs::write(&fax, tiff(Photometric::WhiteIsZero).bytes(&[&inverted])).expect("written");
    for path in [png, tif, fax] {
        let mask = Source { path: path.clone(), page: 0 }.read_mask().expect("mask");
        let wanted = (0..HEIGHT).flat_map(|y| (0..WIDTH).map(move |x| u8::from(is_white(y, x))));
        assert_eq!(mask.pixels, wanted.collect::<Vec<_>>(), "{}", path.display());
        assert!(mask.odd.is_empty() && !mask.is_coloured);
    }
}

#[test]
fn kinds_that_are_not_read_say_so_with_what_to_do() {
    let folder = TempDir::new().expect("folder");
    let path = folder.path().join("image.tif");
    let mut bytes = std::io::Cursor::new(Vec::new());
    let values = vec![0.5_f32; (WIDTH * HEIGHT) as usize];
    let mut encoder = TiffEncoder::new(&mut bytes).expect("encoder");
    encoder.write_image::<colortype::Gray32Float>(WIDTH, HEIGHT, &values).expect("page");
    std::fs::write(&path, bytes.get_ref()).expect("written");
    let complaint = || match read(&path, 0).map(drop).expect_err("refused") {
        LearnerError::Data { what, hint, .. } => format!("{what}; {}", hint.unwrap_or_default()),
        other => panic!("{other}"),
    };
    assert!(complaint().contains("8- or 16-bit grey or RGB"), "{}", complaint());
    let (bits, planes, photometric) = (8, 1, Photometric::Palette);
    let (order, place) = (Order::Little, Place::Strips);
    let tiff = Tiff { width: WIDTH, height: HEIGHT, bits, planes, photometric, order, place };
    std::fs::write(&path, tiff.bytes(&[&grey()])).expect("written");
    assert!(complaint().contains("8- or 16-bit grey or RGB"), "{}", complaint());
}

/// Data of eight pairs, the masks made by `mask`.
fn data_of(mask: impl Fn(u32, &Path)) -> (TempDir, Data) {
    let folder = TempDir::new().expect("folder");
    for part in ["images", "masks"] {
        std::fs::create_dir(folder.path().join(part)).expect("folder");
    }
    for z in 0..8 {
        let image = folder.path().join(format!("images/z{z}.png"));
        GrayImage::from_pixel(16, 16, Luma([100])).save(image).expect("saved");
        mask(z, &folder.path().join(format!("masks/z{z}.png")));
    }
    let given = json!({
        "model": { "name": "unet", "base": 2, "depth": 1 },
        "data": { "path": folder.path(), "patch": 16 },
    });
    let settings = resolve(given.as_object().expect("object")).expect("resolved");
    let settings = Settings::from_resolved(&settings).expect("settings");
    (folder, settings.data.expect("data"))
}

#[test]
fn odd_values_of_masks_are_told_with_their_counts_and_the_first_file() {
    let (_folder, data) = data_of(|z, path| {
        let edge = |x: u32| match x {
            0..8 => 0,
            // A smooth edge in two of the masks.
            8 if z >= 6 => 90,
            9 if z >= 6 => 160,
            _ => 255,
        };
        GrayImage::from_fn(16, 16, |x, _| Luma([edge(x)])).save(path).expect("saved");
    });
    let data = DataSet::open(&data, 1).expect("data");
    let warning = data.warnings.iter().find(|text| text.contains("`z6`")).expect("a warning");
    assert!(warning.starts_with("2 masks, first `z6`, hold 64 pixels"), "{warning}");
    assert!(warning.contains("90 (32), 160 (32)") && warning.contains("above 127"), "{warning}");
    // 90 is background, 160 foreground.
    assert_eq!(data.slices[6].mask.as_ref().expect("mask").foreground(), 16 * 7);
}

#[test]
fn coloured_masks_are_taken_with_a_warning_that_says_the_rule() {
    let (_folder, data) = data_of(|z, path| {
        let colour = |x| {
            if x < 4 {
                [0, 0, 0]
            } else if z == 3 {
                [0, 255, 0]
            } else {
                [255; 3]
            }
        };
        RgbImage::from_fn(16, 16, |x, _| Rgb(colour(x))).save(path).expect("saved");
    });
    let data = DataSet::open(&data, 1).expect("data");
    let coloured: Vec<_> = data.warnings.iter().filter(|text| text.contains("coloured")).collect();
    assert_eq!(coloured.len(), 1, "{:?}", data.warnings);
    assert!(coloured[0].starts_with("1 masks, first `z3`, are coloured"), "{coloured:?}");
    for slice in &data.slices {
        assert_eq!(slice.mask.as_ref().expect("mask").foreground(), 16 * 12);
    }
}

#[test]
fn files_that_do_not_pair_are_listed_in_both_directions() {
    let (folder, data) = data_of(|_, path| {
        GrayImage::from_pixel(16, 16, Luma([255])).save(path).expect("saved");
    });
    for (from, to) in [("z1", "Z1"), ("z5", "z5_mask")] {
        let at = |name: &str| folder.path().join(format!("masks/{name}.png"));
        std::fs::rename(at(from), at(to)).expect("renamed");
    }
    let LearnerError::Data { what, .. } = data::find(&data).expect_err("unpaired") else {
        panic!()
    };
    assert!(what.contains("2 masks without image: Z1, z5_mask"), "{what}");
    assert!(what.contains("2 images without mask: z1, z5"), "{what}");
    for z in [0, 2, 3, 4, 6, 7] {
        std::fs::remove_file(folder.path().join(format!("masks/z{z}.png"))).expect("removed");
    }
    let LearnerError::Data { what, .. } = data::find(&data).expect_err("unpaired") else {
        panic!()
    };
    assert!(what.contains("8 images without mask: z0, z1, z2, z3, z4, …"), "{what}");
}

#[test]
fn the_contrast_step_holds_for_all_values_that_are_read() {
    let (_folder, mut data) = data_of(|_, path| {
        GrayImage::from_pixel(16, 16, Luma([255])).save(path).expect("saved");
    });
    (data.contrast_gain, data.contrast_offset) = (1.1, -0.05);
    let set = DataSet::open(&data, 1).expect("data");
    let wanted = 1.1 * 100.0 / 255.0 - 0.05;
    for slice in &set.slices {
        assert!((slice.picture.value(3, 3, 0, 1) - wanted).abs() < 1e-6);
    }
    let predicted = data::open_part(&data, data::Part::All).expect("slices");
    assert!((predicted[0].picture.value(0, 0, 0, 1) - wanted).abs() < 1e-6);
    let mean = data::Normalisation::of(&set.slices, &set.train).mean;
    assert!((mean - f64::from(wanted)).abs() < 1e-6, "{mean}");
    (data.contrast_gain, data.contrast_offset) = (9.0, -1.0);
    let clipped = data::open_part(&data, data::Part::Val).expect("slices");
    assert_eq!(clipped[0].picture.value(0, 0, 0, 1), 1.0);
}
