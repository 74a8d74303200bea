use super::*;
use crate::clock::{SystemClock, VirtualClock};

fn token(second: i64) -> Option<Token> {
    Some(Token::at(Timestamp::from_second(second).expect("time")))
}

fn newcomer(token: Option<Token>, origin: &str) -> Claim {
    Claim {
        token,
        origin: origin.to_owned(),
        uuid: AttemptUuid::at(Timestamp::UNIX_EPOCH),
        host: "n1".to_owned(),
        process: Process::this(),
        at: Timestamp::UNIX_EPOCH,
    }
}

fn silent_for(seconds: u64) -> Sight {
    Sight { ended: false, gone: false, silence: Duration::from_secs(seconds) }
}

#[test]
fn who_may_take_over() {
    let patience = Patience::default();
    let (old, new) = (token(1), token(2));
    let later = Verdict::WinsAfter(patience.stale);
    let soon = Verdict::WinsAfter(patience.resubmitted);
    let cases = [
        // A later start of the same job, at once; an earlier one never.
        (old, "slurm:7_4:0", old, "slurm:7_4:1", 0, Verdict::Wins),
        (old, "slurm:7_4:9", old, "slurm:7_4:10", 0, Verdict::Wins),
        (old, "slurm:7_4:1", old, "slurm:7_4:1", 0, later),
        // SLURM may use a job id again: without the same token it is another job.
        (old, "slurm:7_4:0", new, "slurm:7_4:1", 0, soon),
        (old, "slurm:7_4:0", old, "slurm:7_5:1", 0, later),
        // A newer submission needs silence too, only less of it.
        (old, "slurm:7_4:0", new, "slurm:8_4:0", 29, soon),
        (old, "slurm:7_4:0", new, "slurm:8_4:0", 30, Verdict::Wins),
        (new, "slurm:8_4:0", old, "slurm:7_4:0", 30, later),
        (old, "somebody", old, "somebody", 89, later),
        (old, "somebody", old, "somebody", 90, Verdict::Wins),
        (None, "", None, "", 0, later),
    ];
    for (owner_token, owner_origin, token, origin, silence, expected) in cases {
        let owner = newcomer(owner_token, owner_origin);
        let found = judge(Some(&owner), &newcomer(token, origin), silent_for(silence), patience);
        assert_eq!(found, expected, "{owner_origin} then {origin} after {silence} s");
    }
    let owner = newcomer(old, "slurm:7_4:3");
    let earlier = newcomer(old, "slurm:7_4:2");
    let loses = judge(Some(&owner), &earlier, silent_for(1000), patience);
    assert!(matches!(loses, Verdict::Loses(_)));
    for sight in [Sight { ended: true, ..silent_for(0) }, Sight { gone: true, ..silent_for(0) }] {
        assert_eq!(judge(Some(&owner), &newcomer(old, ""), sight, patience), Verdict::Wins);
    }
}

struct Home {
    _temporary: tempfile::TempDir,
    folder: TrialFolder,
}

fn home() -> Home {
    let temporary = tempfile::tempdir().expect("folder");
    Home { folder: TrialFolder::new(temporary.path().join("trial")), _temporary: temporary }
}

fn try_claim(folder: &TrialFolder, claim: &Claim) -> Result<u32, ClaimError> {
    let clock: Arc<dyn Clock> = Arc::new(VirtualClock::starting(Timestamp::UNIX_EPOCH));
    super::claim(folder, claim, Patience::default(), &clock, &StopFlag::default())
}

#[test]
fn a_live_owner_is_left_alone_and_an_ended_one_followed() {
    let home = home();
    assert_eq!(try_claim(&home.folder, &newcomer(token(1), "slurm:7:0")).expect("free"), 1);
    let second = newcomer(token(2), "slurm:8:0");
    let refused = try_claim(&home.folder, &second);
    assert!(matches!(refused, Err(ClaimError::Owned { attempt: 1, .. })), "{refused:?}");
    assert_eq!(
        home.folder.attempts().expect("attempts"),
        [1],
        "a refused newcomer leaves no claim"
    );

    let mut writer = journal::Writer::open(&home.folder.journal(1)).expect("journal");
    let ended = Event::Ended {
        outcome: crate::event::Outcome::Stopped,
        reason: None,
        cursor: crate::event::Cursor::START,
        elapsed: 0.0,
        time_left: None,
        seconds_to_leave: None,
        error: None,
    };
    writer.append(Timestamp::UNIX_EPOCH, &ended, true).expect("append");
    assert_eq!(try_claim(&home.folder, &second).expect("ended"), 2);
}

#[test]
fn of_many_newcomers_one_wins() {
    let home = home();
    let dead = Claim {
        process: Process { ticks: Some(0), ..Process::this() },
        ..newcomer(token(1), "slurm:7:0")
    };
    assert_eq!(try_claim(&home.folder, &dead).expect("free"), 1);
    let winners: Vec<u32> = std::thread::scope(|scope| {
        let tries: Vec<_> = (0..8)
            .map(|job| {
                let folder = &home.folder;
                scope.spawn(move || {
                    try_claim(folder, &newcomer(token(2), &format!("slurm:{job}:0"))).ok()
                })
            })
            .collect();
        tries.into_iter().filter_map(|t| t.join().expect("thread")).collect()
    });
    assert_eq!(winners, [2]);
}

#[test]
fn silence_is_waited_for_and_a_beat_ends_the_wait() {
    let home = home();
    let elsewhere = Process { space: None, ..Process::this() };
    let owner = Claim { process: elsewhere, ..newcomer(token(1), "slurm:7:0") };
    try_claim(&home.folder, &owner).expect("free");
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let quick = Patience {
        beat: Duration::from_millis(20),
        stale: Duration::from_millis(300),
        resubmitted: Duration::from_millis(300),
    };
    let second = newcomer(token(2), "slurm:8:0");
    let heart = Heart::start(home.folder.claim(1), quick.beat).expect("heart");
    let refused = super::claim(&home.folder, &second, quick, &clock, &StopFlag::default());
    assert!(
        matches!(refused, Err(ClaimError::Owned { why: "its heart beats", .. })),
        "{refused:?}"
    );
    drop(heart);
    let stop = StopFlag::default();
    stop.raise(crate::event::StopReason::Terminated);
    let stopped = super::claim(&home.folder, &second, quick, &clock, &stop);
    assert!(matches!(stopped, Err(ClaimError::Stopped { attempt: 1 })));
    let taken = super::claim(&home.folder, &second, quick, &clock, &StopFlag::default());
    assert_eq!(taken.expect("silence"), 2);
}
