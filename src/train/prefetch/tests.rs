use super::*;

const ORDER: Order = Order { batch_size: 3, samples: 10, epochs: 2 };

/// Cuts a place into itself, and keeps a list of what was cut.
fn start(threads: usize, seen: &Arc<Mutex<Vec<Place>>>) -> Prefetch<Place> {
    Prefetch::start(ORDER, threads, || {
        let seen = seen.clone();
        Box::new(move |place| {
            seen.lock().expect("list").push(place);
            Ok(place)
        })
    })
}

fn all_places() -> Vec<Place> {
    std::iter::successors(Some(ORDER.at(1, 0)), |place| ORDER.after(*place)).collect()
}

#[test]
fn the_order_goes_through_all_epochs_and_ends() {
    let places = all_places();
    let firsts: Vec<_> =
        places.iter().map(|place| (place.epoch, place.first, place.last)).collect();
    let epoch = |n| [(n, 0, 3), (n, 3, 6), (n, 6, 9), (n, 9, 10)];
    assert_eq!(firsts, [epoch(1), epoch(2)].concat());
}

#[test]
fn everything_comes_in_order_and_once_whatever_the_number_of_threads() {
    for threads in 0..=4 {
        let seen = Arc::default();
        let mut prefetch = start(threads, &seen);
        for place in all_places() {
            assert_eq!(prefetch.take(place).expect("cut"), place);
        }
        drop(prefetch);
        let mut cut = seen.lock().expect("list").clone();
        cut.sort_by_key(|place| (place.epoch, place.first));
        assert_eq!(cut, all_places(), "{threads} threads");
    }
}

#[test]
fn a_jump_is_followed_and_what_was_cut_ahead_is_forgotten() {
    for threads in [0, 1, 3] {
        let mut prefetch = start(threads, &Arc::default());
        for (epoch, first) in [(1, 0), (2, 6), (1, 3), (1, 3), (1, 6), (2, 9), (1, 0)] {
            let place = ORDER.at(epoch, first);
            assert_eq!(prefetch.take(place).expect("cut"), place);
        }
    }
}

#[test]
fn no_more_is_cut_ahead_than_was_agreed() {
    let seen = Arc::default();
    let mut prefetch = start(1, &seen);
    prefetch.take(ORDER.at(1, 0)).expect("cut");
    // The one that was taken and two ahead, however long one waits: nothing more was asked for.
    assert_eq!(prefetch.ahead.len(), 2);
    drop(prefetch);
    assert!(seen.lock().expect("list").len() <= 3);
}

#[test]
fn no_thread_is_left() {
    let seen: Arc<Mutex<Vec<Place>>> = Arc::default();
    let mut prefetch = start(4, &seen);
    assert_eq!(prefetch.threads.len(), 4);
    prefetch.take(ORDER.at(1, 0)).expect("cut");
    drop(prefetch);
    // Every thread held the list.
    assert_eq!(Arc::strong_count(&seen), 1);
}

#[test]
fn an_error_comes_where_its_minibatch_is_asked_for_and_training_could_go_on() {
    for threads in [0, 2] {
        let mut prefetch: Prefetch<u64> = Prefetch::start(ORDER, threads, || {
            Box::new(|place| match place.first {
                3 => Err(LearnerError::Library { what: "torn".to_owned() }),
                first => Ok(first),
            })
        });
        let mut take = |first| prefetch.take(ORDER.at(1, first));
        assert_eq!(take(0).expect("cut"), 0);
        for _ in 0..2 {
            assert_eq!(take(3).expect_err("torn").to_string(), "torn");
        }
        assert_eq!(take(6).expect("cut"), 6);
    }
}

#[test]
fn a_panic_reaches_who_asks() {
    let mut prefetch: Prefetch<u64> = Prefetch::start(ORDER, 2, || {
        Box::new(|place| {
            assert!(place.first != 3, "the slice is gone");
            Ok(place.first)
        })
    });
    assert_eq!(prefetch.take(ORDER.at(1, 0)).expect("cut"), 0);
    let caught = catch_unwind(AssertUnwindSafe(|| prefetch.take(ORDER.at(1, 3))));
    let panic = caught.expect_err("a panic");
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"the slice is gone"));
    assert_eq!(prefetch.take(ORDER.at(1, 6)).expect("cut"), 6);
}
