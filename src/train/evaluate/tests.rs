//! Tiles, blends and turns against passes over whole images.

use serde_json::{Value, json};

use super::*;
use crate::train::model::{self, Parameters};

const PLAIN: Normalisation = Normalisation { mean: 0.0, deviation: 1.0 };

/// Gives every pixel its own value.
#[derive(Debug, Default)]
struct Mirror {
    seen: std::cell::RefCell<Vec<Vec<i64>>>,
    largest: Option<i64>,
}

impl Network for Mirror {
    fn forward(&self, images: &Tensor, _: Pass) -> Result<Tensor, TchError> {
        self.seen.borrow_mut().push(images.size());
        Ok(images.shallow_clone())
    }

    fn stride(&self) -> i64 {
        1
    }

    fn values_per_pixel(&self) -> u64 {
        1
    }

    fn receptive_radius(&self) -> Option<i64> {
        Some(0)
    }

    fn largest_piece(&self) -> Option<i64> {
        self.largest
    }
}

fn segmenter(network: &dyn Network) -> Segmenter<'_> {
    Segmenter { network, channels: 1, device: Device::Cpu, normalisation: PLAIN }
}

/// A smooth picture with some texture.
fn picture(height: usize, width: usize) -> Picture {
    let value = |at: usize| {
        let (y, x) = ((at / width) as f64, (at % width) as f64);
        let wave = (y / 17.0).sin() * (x / 23.0).cos() + 0.3 * (x * 1.7 + y * 0.9).sin();
        (127.0 + 80.0 * wave) as u8
    };
    Picture::of_bytes(height, width, 1, (0..height * width).map(value).collect())
}

fn network(model: &Value, patch: i64) -> (Box<dyn Network>, Parameters) {
    let given = json!({ "model": model, "data": { "path": "/d" } });
    let resolved = crate::setting::resolve(given.as_object().expect("object")).expect("settings");
    let settings = crate::setting::Settings::from_resolved(&resolved).expect("typed");
    model::build(&settings.model, patch, 3, Device::Cpu).expect("network")
}

fn logits(network: &dyn Network, picture: &Picture, how: (Tiling, Turns)) -> Tensor {
    let region = Region::whole(0, picture);
    let found = segmenter(network).logits(picture, region, how, &mut || true);
    found.expect("segmented").expect("not stopped")
}

fn wished(network: &dyn Network, tile: u32) -> Tiling {
    let wish = TileWish { tile: Some(tile), ..TileWish::default() };
    Tiling::wished(network, Device::Cpu, wish).expect("a tiling")
}

fn difference(a: &Tensor, b: &Tensor) -> f64 {
    (a - b).abs().max().double_value(&[])
}

#[test]
fn a_network_gets_pieces_of_its_size_and_every_pixel_keeps_its_place() {
    for (height, width) in [(8, 8), (3, 5), (21, 6), (17, 40)] {
        let bytes: Vec<u8> = (0..height * width).map(|at| (at % 251) as u8).collect();
        let picture = Picture::of_bytes(height, width, 1, bytes.clone());
        let network = Mirror { largest: Some(8), ..Mirror::default() };
        let found = segmenter(&network).segment(&picture, Region::whole(0, &picture), &mut || true);
        let found = (found.expect("segmented").expect("not stopped").logits * 255.0).round();
        let expected = Tensor::from_slice(&bytes).view([index(height), index(width)]);
        assert_eq!(found, expected.to_kind(Kind::Float), "{height} x {width}");
        assert!(network.seen.borrow().iter().all(|size| size[2..] == [8, 8]));
    }
}

#[test]
fn tiles_of_convolutional_networks_say_what_the_whole_image_says() {
    let networks = [
        (json!({ "name": "unet", "base": 4, "depth": 2 }), 64),
        (json!({ "name": "unet", "base": 4, "depth": 3, "variant": "earlier" }), 136),
        (json!({ "name": "attention_unet", "base": 4, "depth": 2 }), 96),
        (json!({ "name": "attention_resunet", "base": 4, "depth": 2, "variant": "earlier" }), 96),
        (
            json!({ "name": "convnext_unet", "embed": 4, "depths": [1, 1], "decoder_depth": 1,
                    "layer_scale": 0.5 }),
            144,
        ),
    ];
    let picture = picture(205, 323);
    for (model, side) in networks {
        let (network, _parameters) = network(&model, 64);
        let network = network.as_ref();
        let usual = Tiling::of(network, Device::Cpu);
        assert!(usual.is_exact && usual.side >= 1024, "{model}");
        let whole = logits(network, &picture, (usual, Turns::None));
        assert!(whole.std(true).double_value(&[]) > 1e-3, "{model} says the same everywhere");
        let tiling = wished(network, side);
        assert!(tiling.is_exact && tiling.along(323).len() > 3, "{model}: {tiling:?}");
        for at_once in [1, 3] {
            let tiled = logits(network, &picture, (Tiling { at_once, ..tiling }, Turns::None));
            let far = difference(&tiled, &whole);
            assert!(far <= 1e-5, "{model}: {far}");
        }
        // Without the margin it is not so: the test would see a seam.
        let seamed = Tiling { margin: 0, overlap: 0, ..tiling };
        let far = difference(&logits(network, &picture, (seamed, Turns::None)), &whole);
        assert!(far > 1e-4, "{model}: {far}");
    }
}

#[test]
fn a_tile_that_is_too_small_or_an_overlap_that_is_too_large_is_told() {
    let (network, _parameters) = network(&json!({ "name": "unet", "base": 4, "depth": 2 }), 64);
    let tiling = wished(network.as_ref(), 33);
    assert_eq!((tiling.side, tiling.is_exact), (36, false));
    let covered = tiling.along(500).iter().map(|tile| tile.length).sum::<usize>();
    assert!(covered > 500);
    for (overlap, exact) in [(46, true), (45, false), (0, false)] {
        let wish = TileWish { tile: Some(128), overlap: Some(overlap), at_once: Some(2) };
        let tiling = Tiling::wished(network.as_ref(), Device::Cpu, wish).expect("a tiling");
        assert_eq!((tiling.is_exact, tiling.at_once), (exact, 2), "{overlap}");
    }
    let wish = TileWish { tile: Some(128), overlap: Some(125), at_once: None };
    let error = Tiling::wished(network.as_ref(), Device::Cpu, wish).expect_err("too much");
    assert!(error.to_string().starts_with("--overlap: tiles of 128 pixels"), "{error}");
}

#[test]
fn tiles_that_are_only_blended_have_something_to_share_however_small_they_are_wished() {
    let model = json!({ "name": "swin_unet", "embed": 8, "depths": [1, 1], "heads": [1, 2],
                        "window": 2, "decoder_depth": 1 });
    let (network, _parameters) = network(&model, 64);
    let tiling = wished(network.as_ref(), 1);
    assert_eq!((tiling.side, tiling.overlap), (2 * tiling.grid, tiling.grid));
    assert!(!tiling.is_exact && tiling.grid > 1);
}

/// Attention over patches promises no equality; what can be asked for is that nobody sees where tiles end.
#[test]
fn no_seam_is_seen_between_patches_of_networks_with_attention() {
    let model = json!({ "name": "coatnet_unet", "embed": 8, "depths": [1, 1, 1, 1],
                        "head_width": 8, "decoder_depth": 1 });
    let (network, _parameters) = network(&model, 64);
    let tiling = Tiling::of(network.as_ref(), Device::Cpu);
    assert_eq!((tiling.side, tiling.overlap, tiling.is_exact), (64, 32, false));
    let picture = picture(64, 224);
    let steps = |tiling: Tiling| {
        let logits = logits(network.as_ref(), &picture, (tiling, Turns::None));
        let jumps = (logits.narrow(1, 1, 223) - logits.narrow(1, 0, 223)).abs();
        let jumps = jumps.mean_dim([0].as_slice(), false, Kind::Double);
        let jumps: Vec<f64> = Vec::try_from(jumps).expect("numbers");
        // Between column 31 and 32 a tile begins and none ends, and so on.
        let is_seam = |at: usize| (at + 1).is_multiple_of(32);
        let most = |seam: bool| {
            let these = jumps.iter().enumerate().filter(|(at, _)| is_seam(*at) == seam);
            these.map(|(_, jump)| *jump).fold(0.0, f64::max)
        };
        (most(true), most(false))
    };
    let (seams, inside) = steps(tiling);
    assert!(seams <= inside, "{seams} at the seams, {inside} inside");
    let (seams, inside) = steps(Tiling { overlap: 0, ..tiling });
    assert!(seams > inside, "tiles side by side: {seams} at the seams, {inside} inside");
}

#[test]
fn what_is_turned_is_turned_back_exactly() {
    let picture = picture(37, 50);
    for network in [Mirror::default(), Mirror { largest: Some(16), ..Mirror::default() }] {
        let tiling = Tiling::of(&network, Device::Cpu);
        let plain = logits(&network, &picture, (tiling, Turns::None));
        for turns in [Turns::Flips, Turns::All] {
            let turned = logits(&network, &picture, (tiling, turns));
            let far = difference(&turned, &plain);
            // Where tiles blend, they blend elsewhere in a turned image.
            assert!(far <= if network.largest.is_some() { 1e-6 } else { 0.0 }, "{turns:?}: {far}");
        }
    }
    // A U-Net is not symmetric: the mean is another answer, and the same for a mirrored image, mirrored.
    let (network, _parameters) = network(&json!({ "name": "unet", "base": 4, "depth": 1 }), 64);
    let tiling = Tiling::of(network.as_ref(), Device::Cpu);
    let plain = logits(network.as_ref(), &picture, (tiling, Turns::None));
    let turned = logits(network.as_ref(), &picture, (tiling, Turns::All));
    assert!(difference(&plain, &turned) > 1e-4);
}

#[test]
fn it_stops_between_tiles_when_told() {
    let network = Mirror { largest: Some(8), ..Mirror::default() };
    let picture = picture(20, 20);
    let mut left = 3;
    let mut go_on = || {
        left -= 1;
        left >= 0
    };
    let how = (Tiling::of(&network, Device::Cpu), Turns::None);
    let region = Region::whole(0, &picture);
    let found = segmenter(&network).logits(&picture, region, how, &mut go_on).expect("no error");
    assert!(found.is_none() && network.seen.borrow().len() == 3);
}

#[test]
fn the_mean_of_one_is_that_one_and_a_threshold_moves_the_mask() {
    let one = || Tensor::from_slice(&[-1.0_f32, 0.0, 0.5, 2.0]).view([2, 2]);
    assert_eq!(mean(vec![one()]).expect("mean"), one());
    assert_eq!(mean(vec![one(), one() * 3.0]).expect("mean"), one() * 2.0);
    let pixels = |threshold| Segmented::decide(one(), threshold).expect("decided").pixels;
    assert_eq!(pixels(0.0), [0, 0, 1, 1]);
    assert_eq!(pixels(-1.5), [1, 1, 1, 1]);
    assert_eq!(pixels(0.5), [0, 0, 0, 1]);
}
