//! What is asked of the server after a row, or told from its figures: hit ratios, the error of an estimate, whether a
//! counter is right.

use crate::control::Control;
use crate::error::BenchError;
use crate::plan::Plan;
use crate::report::{PhaseReport, Row};

type Answer = Result<Vec<String>, BenchError>;

/// What the coupons' counter starts with.
const COUPONS: i64 = 10_000_000;
/// Lifetimes of the hot key in a second.
const EXPIRIES_PER_S: f64 = 10.0;

fn row<'a>(report: &'a PhaseReport, label: &str) -> Option<&'a Row> {
    report.rows.iter().find(|row| row.label == label)
}

pub(super) fn hit_ratio(_: &mut Control, _: &Plan, report: &PhaseReport) -> Answer {
    let gets = row(report, "Gets").cloned().unwrap_or_default();
    let (hits, misses) = (
        gets.hits_per_s.unwrap_or(0.0),
        gets.misses_per_s.unwrap_or(0.0),
    );
    let ratio = 100.0 * hits / (hits + misses).max(f64::MIN_POSITIVE);
    Ok(vec![format!("hit ratio {ratio:.1} %")])
}

pub(super) fn visitors(control: &mut Control, plan: &Plan, report: &PhaseReport) -> Answer {
    let (key, count) = match row(report, "Pfadds") {
        Some(_) => ("visitors:hll", "PFCOUNT"),
        None => ("visitors:set", "SCARD"),
    };
    let counted = control.number(&[count, key])? as f64;
    let real = plan.load.filling.keys.count() as f64;
    let error = 100.0 * (counted - real) / real;
    let mut facts = vec![format!("{count} says {counted}, {error:+.2} % of {real}")];
    match control.number(&["MEMORY", "USAGE", key, "SAMPLES", "0"]) {
        Ok(bytes) => facts.push(format!("{bytes} bytes")),
        Err(BenchError::Refused { reply, .. }) => facts.push(format!("bytes unknown: {reply}")),
        Err(error) => return Err(error),
    }
    Ok(facts)
}

pub(super) fn coupons(control: &mut Control, _: &Plan, report: &PhaseReport) -> Answer {
    let left = control.number(&["GET", "coupons"])?;
    let given = i64::try_from(report.totals.replies).unwrap_or(i64::MAX);
    let verdict = match COUPONS - given - left {
        0 => "exactly".to_owned(),
        difference if report.partial => format!("{difference} off, requests were lost"),
        difference => format!("WRONG BY {difference}"),
    };
    Ok(vec![format!(
        "{given} given, {left} left of {COUPONS}: {verdict}"
    )])
}

pub(super) fn stampede(_: &mut Control, _: &Plan, report: &PhaseReport) -> Answer {
    // The command that follows a miss stands last; a null from it says that the lock was another's.
    let written = report.rows.last().map_or(0, |row| row.replies - row.nulls);
    let expiries = (report.elapsed_s * EXPIRIES_PER_S).max(1.0);
    let each = written as f64 / expiries;
    Ok(vec![format!("{written} writes, {each:.1} per expiry")])
}
