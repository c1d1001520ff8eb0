//! Elements handed from who pushes to who waits: pairs of connections, of which one waits for a list with BRPOP and the other one pushes to it, and
//! the time from the sending of the push to the arrival of the element.
//!
//! All pairs do so together: first everybody waits, then everybody pushes, then everybody has got something.

use crate::clock::{Clock, SECOND_NS};
use crate::control::Control;
use crate::error::BenchError;
use crate::load::Limit;
use crate::plan::Plan;
use crate::process::own_cpu_ns;
use crate::report::{Latency, PhaseReport, Row};
use crate::server_stats::Probe;
use crate::tally::CommandTally;
use crate::timeline::Timeline;

/// Hands elements over for as long as the plan says and reports them as replies.
pub(super) fn hand_over(
    plan: &Plan,
    probe: &mut Probe,
    pairs: usize,
    bytes: usize,
) -> Result<PhaseReport, BenchError> {
    let connect = |_| plan.target.connect();
    let mut takers: Vec<Control> = (0..pairs).map(connect).collect::<Result<_, _>>()?;
    let mut givers: Vec<Control> = (0..pairs).map(connect).collect::<Result<_, _>>()?;
    let lists: Vec<String> = (0..pairs).map(|pair| format!("hand:{pair}")).collect();
    let element = "x".repeat(bytes);
    let clock = Clock::start();
    let (before, cpu_before_ns) = (probe.before(), own_cpu_ns());
    let started_ns = clock.now_ns();
    let mut tally = CommandTally::default();
    let mut timeline = Timeline::starting(started_ns);
    let (mut last_ns, mut longest_gap_ns) = (started_ns, 0);
    let mut sent_ns = vec![0; pairs];
    let limit = plan.limit.unwrap_or(Limit::Time(SECOND_NS));
    while match limit {
        Limit::Requests(requests) => tally.replies() < requests,
        Limit::Time(duration_ns) => last_ns - started_ns < duration_ns,
        _ => last_ns - started_ns < SECOND_NS,
    } {
        for (taker, list) in takers.iter_mut().zip(&lists) {
            taker.say(&["BRPOP", list, "0"])?;
        }
        for ((giver, list), sent_ns) in givers.iter_mut().zip(&lists).zip(&mut sent_ns) {
            *sent_ns = clock.now_ns();
            giver.say(&["LPUSH", list, &element])?;
        }
        for (taker, sent_ns) in takers.iter_mut().zip(&sent_ns) {
            taker.hear("BRPOP")?;
            let now_ns = clock.now_ns();
            let latency_ns = now_ns - sent_ns;
            tally.latency_ns.saturating_record(latency_ns);
            timeline.record(now_ns, latency_ns, 1);
            longest_gap_ns = longest_gap_ns.max(now_ns - last_ns);
            last_ns = now_ns;
        }
        for giver in &mut givers {
            giver.hear("LPUSH")?;
        }
    }
    let elapsed_ns = last_ns.max(started_ns + 1) - started_ns;
    let replies = tally.replies();
    let mut report = PhaseReport {
        elapsed_s: elapsed_ns as f64 / SECOND_NS as f64,
        server: probe.after(&before, replies),
        client_cpu_us_per_op: (own_cpu_ns() - cpu_before_ns) as f64 / 1e3 / replies.max(1) as f64,
        free_commands: true,
        commands: 2 * replies,
        timeline: timeline.points(elapsed_ns),
        longest_gap_us: longest_gap_ns as f64 / 1e3,
        ..PhaseReport::default()
    };
    report.totals = Row {
        label: "Elements".to_owned(),
        replies,
        ops_per_s: replies as f64 / report.elapsed_s,
        latency: Latency::of(&tally.latency_ns, &plan.percentiles),
        ..Row::default()
    };
    report.rows = vec![report.totals.clone()];
    Ok(report)
}
