//! From a storm that does harm to the little of it that does.

use crate::storm_scene::{Blow, Mishap, Scene, Strike};

/// Leaves out whatever is not needed for the harm.
pub(crate) fn distil(mut scenes: Vec<Scene>, harms: &dyn Fn(&[Scene]) -> bool) -> Vec<Scene> {
    while let Some(fewer) = less(&scenes).into_iter().find(|fewer| harms(fewer)) {
        scenes = fewer;
    }
    scenes
}

/// All storms that are a little less than this one, the smallest first.
fn less(scenes: &[Scene]) -> Vec<Vec<Scene>> {
    let mut found = Vec::new();
    for place in (0..scenes.len()).rev() {
        let mut fewer = scenes.to_vec();
        fewer.remove(place);
        found.push(fewer);
    }
    for (place, scene) in scenes.iter().enumerate() {
        for weaker in weaker(scene) {
            let mut other = scenes.to_vec();
            other[place] = weaker;
            found.push(other);
        }
    }
    found
}

fn weaker(scene: &Scene) -> Vec<Scene> {
    match scene {
        Scene::Act(order, mishap) => {
            weaker_mishaps(mishap).into_iter().map(|mishap| Scene::Act(*order, mishap)).collect()
        }
        Scene::Work(strikes) => {
            let mut found = Vec::new();
            for place in 0..strikes.len() {
                let mut fewer = strikes.clone();
                fewer.remove(place);
                found.push(Scene::Work(fewer));
            }
            for (place, strike) in strikes.iter().enumerate() {
                for weaker in weaker_strikes(strike) {
                    let mut other = strikes.clone();
                    other[place] = weaker;
                    found.push(Scene::Work(other));
                }
            }
            found
        }
        _ => Vec::new(),
    }
}

fn weaker_mishaps(mishap: &Mishap) -> Vec<Mishap> {
    let mut found = Vec::new();
    if !mishap.faults.is_empty() {
        found.push(Mishap { faults: String::new(), torn: 0, ..mishap.clone() });
    }
    if mishap.torn > 0 {
        found.push(Mishap { torn: 0, ..mishap.clone() });
    }
    for place in 0..mishap.fates.len() {
        let mut fates = mishap.fates.clone();
        fates.remove(place);
        found.push(Mishap { fates, ..mishap.clone() });
    }
    found
}

fn weaker_strikes(strike: &Strike) -> Vec<Strike> {
    let mut found = Vec::new();
    if strike.blow != Blow::None {
        found.push(Strike { blow: Blow::None, ..strike.clone() });
    }
    if strike.ahead != 0 {
        found.push(Strike { ahead: 0, ..strike.clone() });
    }
    let meanwhile = less(&strike.meanwhile);
    found.extend(meanwhile.into_iter().map(|meanwhile| Strike { meanwhile, ..strike.clone() }));
    found
}
