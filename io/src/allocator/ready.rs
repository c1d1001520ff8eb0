//! Huge pages that have been touched before a shard needs them.
//!
//! Whoever touches a huge page first waits until the kernel has cleared it, and on a virtual machine until the host has found 2 MiB of memory: 0.1 ms
//! at best, 5 to 15 ms for memory that the host sees used for the first time. A shard that grows would stand still so long once every 2 MiB. So
//! a thread of its own touches some in advance, and takes as many as were asked for lately as the measure. When none is ready, the shard gets
//! small pages instead, a thousandth of the pause each; or one that nobody has touched, where touching is quick.
//!
//! The thread uses only time of the processor that nobody wants, else the shard would wait for the thread instead of the kernel. No locks:
//! a thread that is preempted while it holds one would keep a shard waiting for a time slice.

use std::io;
use std::ptr::NonNull;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};
use std::thread::{self, Thread};
use std::time::Duration;

use super::range::{HUGE_PAGE, Range};
use crate::clock::monotonic_ns;

/// The most that are ready at a time.
const MOST: usize = 16;

/// What was asked for within this time is what is kept ready.
const WINDOW: Duration = Duration::from_millis(100);

/// A huge page that is touched within this time may be touched by a shard.
const QUICK: Duration = Duration::from_micros(300);

/// So many quick ones in a row, and the next is expected to be quick.
const QUICK_ENOUGH: usize = 4;

/// A processor that is back within this time after giving way is wanted by nobody.
const FREE: Duration = Duration::from_micros(200);

/// The pages there are instead of a huge one where the kernel has none.
const SMALL_PAGE: usize = 4096;

/// The ones that are ready. Null: an empty place.
static READY: [AtomicPtr<u8>; MOST] = [const { AtomicPtr::new(std::ptr::null_mut()) }; MOST];

/// How many shards have asked for since the thread last looked, whether they got one or not.
static ASKED: AtomicUsize = AtomicUsize::new(0);

/// How many have been touched quickly, one after the other.
static QUICK_ONES: AtomicUsize = AtomicUsize::new(0);

/// Whether somebody has started the thread.
static IS_STARTED: AtomicBool = AtomicBool::new(false);

/// The thread that touches, once there is one.
static TOUCHER: OnceLock<Thread> = OnceLock::new();

/// A huge page of `range`, all zero, that has been touched or is touched quickly. `None` if there is none: before `start`, or if the shards are faster than
/// the thread.
pub(super) fn take(range: &Range) -> Option<NonNull<u8>> {
    let toucher = TOUCHER.get()?;
    let empty = std::ptr::null_mut();
    let ready = READY
        .iter()
        .find_map(|place| NonNull::new(place.swap(empty, Ordering::Acquire)));
    ASKED.fetch_add(1, Ordering::Relaxed);
    toucher.unpark();
    ready.or_else(|| {
        let page = is_quick().then(|| range.take(HUGE_PAGE, HUGE_PAGE))??;
        touch(page, HUGE_PAGE);
        Some(page)
    })
}

/// Touches a huge page, and notes how long that took. `step`: the bytes of the pages it may consist of.
fn touch(page: NonNull<u8>, step: usize) {
    let began_ns = monotonic_ns();
    for offset in (0..HUGE_PAGE).step_by(step) {
        // SAFETY: the huge page is mapped and known to nobody else. Volatile: the write is what it is about.
        unsafe { page.add(offset).write_volatile(0) };
    }
    if is_within(began_ns, QUICK) {
        QUICK_ONES.fetch_add(1, Ordering::Relaxed);
    } else {
        QUICK_ONES.store(0, Ordering::Relaxed);
    }
}

/// Whether a huge page is touched quickly here.
fn is_quick() -> bool {
    QUICK_ONES.load(Ordering::Relaxed) >= QUICK_ENOUGH
}

/// Starts the thread; the second time nothing.
///
/// # Errors
/// The system gives no thread.
pub(super) fn start(range: &'static Range) -> io::Result<()> {
    if IS_STARTED.swap(true, Ordering::Relaxed) {
        return Ok(());
    }
    let thread = thread::Builder::new()
        .name("huge-pages".into())
        .spawn(move || Toucher::new(range).run())?;
    TOUCHER.get_or_init(|| thread.thread().clone());
    Ok(())
}

/// How many to keep ready: as many as were asked for in the last window, and one more.
#[derive(Debug)]
struct Lead {
    window_began_ns: u64,
    asked: usize,
    pages: usize,
}

impl Lead {
    /// Takes note that so many were asked for since the last time, `now_ns` being the time.
    fn note(&mut self, asked: usize, now_ns: u64) {
        self.asked += asked;
        let is_over = u128::from(now_ns - self.window_began_ns) >= WINDOW.as_nanos();
        let pages = (self.asked + 1).min(MOST);
        if is_over {
            self.pages = pages;
            self.asked = 0;
            self.window_began_ns = now_ns;
        } else {
            self.pages = self.pages.max(pages);
        }
    }
}

struct Toucher {
    range: &'static Range,
    /// Huge pages that were given back to the system, to be touched again.
    spare: Vec<NonNull<u8>>,
    lead: Lead,
}

impl Toucher {
    fn new(range: &'static Range) -> Self {
        Self {
            range,
            spare: Vec::with_capacity(MOST),
            lead: Lead {
                window_began_ns: monotonic_ns(),
                asked: 0,
                pages: 1,
            },
        }
    }

    fn run(mut self) {
        leave_others_first();
        loop {
            let asked = ASKED.swap(0, Ordering::Relaxed);
            self.lead.note(asked, monotonic_ns());
            let is_done = self.adjust();
            // While there is more than one, or less than there shall be, somebody has to look again.
            if is_done && self.lead.pages == 1 {
                thread::park();
            } else {
                thread::park_timeout(WINDOW);
            }
        }
    }

    /// Makes it as many as shall be ready. Says whether it could: not while somebody else wants the processor.
    fn adjust(&mut self) -> bool {
        for (at, place) in READY.iter().enumerate() {
            let is_ready = !place.load(Ordering::Relaxed).is_null();
            if at < self.lead.pages && !is_ready {
                if !is_quick() && !is_processor_free() {
                    return false;
                }
                let Some(page) = self.touched() else {
                    return true; // no addresses are left
                };
                place.store(page.as_ptr(), Ordering::Release);
            } else if at >= self.lead.pages && is_ready {
                self.give_back(place);
            }
        }
        true
    }

    fn touched(&mut self) -> Option<NonNull<u8>> {
        let spare = self.spare.pop();
        let page = spare.or_else(|| self.range.take(HUGE_PAGE, HUGE_PAGE))?;
        touch(page, SMALL_PAGE);
        Some(page)
    }

    fn give_back(&mut self, place: &AtomicPtr<u8>) {
        let taken = place.swap(std::ptr::null_mut(), Ordering::Acquire);
        let Some(page) = NonNull::new(taken) else {
            return; // a shard was faster
        };
        // SAFETY: it is mapped, and nobody else's since it was taken from its place.
        unsafe { libc::madvise(page.as_ptr().cast(), HUGE_PAGE, libc::MADV_DONTNEED) };
        self.spare.push(page);
    }
}

/// Lets this thread run only while its processor has nothing else to do.
fn leave_others_first() {
    let priority = libc::sched_param { sched_priority: 0 };
    // SAFETY: it concerns this thread alone. Where it is refused, the thread runs like any other.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &raw const priority) };
}

/// Whether nobody else wants the processor of this thread.
fn is_processor_free() -> bool {
    let began_ns = monotonic_ns();
    thread::yield_now();
    is_within(began_ns, FREE)
}

/// Whether no more than `time` has passed since `began_ns`.
fn is_within(began_ns: u64, time: Duration) -> bool {
    u128::from(monotonic_ns() - began_ns) <= time.as_nanos()
}

#[cfg(test)]
mod tests {
    use super::{Lead, MOST, WINDOW};

    #[test]
    fn the_lead_follows_what_is_asked_for() {
        let window = u64::try_from(WINDOW.as_nanos()).expect("it is short");
        let mut lead = Lead {
            window_began_ns: 0,
            asked: 0,
            pages: 1,
        };
        lead.note(1, 1);
        lead.note(2, 2);
        assert_eq!(lead.pages, 4);
        lead.note(1, window);
        assert_eq!(lead.pages, 5);
        lead.note(0, window + 1);
        assert_eq!(lead.pages, 5, "not before the window is over");
        lead.note(0, 2 * window);
        assert_eq!(lead.pages, 1);
        lead.note(1_000, 2 * window + 1);
        assert_eq!(lead.pages, MOST);
    }
}
